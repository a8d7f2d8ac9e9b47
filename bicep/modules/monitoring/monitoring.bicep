metadata name = 'Monitoring'
metadata description = 'Alerts, whom they reach, the workbook, and flow logs of the network.'

import { House, Identity } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name and scale set of each pool.')
param pools { name: string, scaleSet: string }[]

@description('Required. Products whose state is saved, as the keeper calls them.')
param products ('nomad' | 'consul')[]

@description('Required. Whether restores are rehearsed.')
param rehearsals bool

@description('Required. Resource group of the scale sets.')
param computeGroup string

@description('Required. Resource group of the load balancer.')
param networkGroup string

@description('Required. Resource group of the storage accounts.')
param storageGroup string

@description('Required. Resource id of the function app.')
param functionAppId string

@description('Required. Public host name of the function app.')
param functionAppHost string

@description('Required. Whether the app accepts signed-in callers.')
param keeperListens bool

@description('Required. Identity that alerts sign in to the keeper with.')
param alerts Identity

@description('Required. Mail addresses of people.')
param emails string[]

@description('Required. Resource id of the network.')
param vnetId string

@description('Required. Network watcher of the region; null for no flow logs.')
param flowLogs { resourceGroup: string, watcher: string }?

@description('Required. Storage account of the flow logs.')
param flowAccount string

/*** RESOURCES ***/
module actions 'actions.bicep' = {
  name: 'actions'
  params: {
    cluster: house.cluster
    tags: house.tags
    functionAppId: functionAppId
    functionAppHost: functionAppHost
    keeperListens: keeperListens
    identity: alerts
    emails: emails
  }
}

module rules 'alerts.bicep' = {
  name: 'alerts'
  params: {
    house: house
    pools: [
      for pool in pools: {
        name: pool.name
        scaleSetId: resourceId(computeGroup, 'Microsoft.Compute/virtualMachineScaleSets', pool.scaleSet)
      }
    ]
    products: products
    rehearsals: rehearsals
    balancerId: resourceId(networkGroup, 'Microsoft.Network/loadBalancers', 'lbi-${house.cluster}')
    keeperGroupId: actions.outputs.keeperId
    peopleGroupId: actions.outputs.peopleId
  }
}

module workbook 'workbook.bicep' = {
  name: 'workbook'
  params: { house: house }
}

module flows '../network/flowLogs.bicep' = if (flowLogs != null) {
  name: 'flow-logs-${house.cluster}'
  scope: resourceGroup(flowLogs.?resourceGroup ?? resourceGroup().name)
  params: {
    location: house.location
    tags: house.tags
    cluster: house.cluster
    vnetId: vnetId
    storageId: resourceId(storageGroup, 'Microsoft.Storage/storageAccounts', flowAccount)
    workspaceId: house.workspaceId
    watcherName: flowLogs.?watcher ?? ''
  }
}
