metadata name = 'Flow logs of the virtual network'
metadata description = 'Who talked to whom, kept for 90 days. Stands beside the network watcher, of which Azure allows one for each region.'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Region of the network.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Name of the cluster.')
param cluster string

@description('Required. Resource id of the network.')
param vnetId string

@description('Required. Resource id of the storage account that keeps the raw logs.')
param storageId string

@description('Required. Resource id of the Log Analytics workspace that traffic analytics writes to.')
param workspaceId string

@description('Required. Name of the network watcher of the region.')
param watcherName string

/*** RESOURCES ***/
resource watcher 'Microsoft.Network/networkWatchers@2025-05-01' existing = {
  name: watcherName
}

resource flowLogs 'Microsoft.Network/networkWatchers/flowLogs@2024-10-01' = {
  parent: watcher
  name: 'fl-${cluster}'
  location: location
  tags: tags
  properties: {
    enabled: true
    targetResourceId: vnetId
    storageId: storageId
    format: { type: 'JSON', version: 2 }
    retentionPolicy: { enabled: true, days: 90 }
    flowAnalyticsConfiguration: {
      networkWatcherFlowAnalyticsConfiguration: {
        enabled: true
        trafficAnalyticsInterval: 60
        workspaceResourceId: workspaceId
      }
    }
  }
}
