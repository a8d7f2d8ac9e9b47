metadata name = 'Workspace'
metadata description = 'Where every log, metric and trace ends, and the rule by which machines send theirs.'

import { Identity } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the cluster.')
param cluster string

@description('Required. Region.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Days that logs can be searched.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Required. Most that one day may bring, in GB; -1 for no limit.')
param dailyQuotaGb int

@description('Required. Identity of the keeper, which publishes traces and metrics without a key.')
param keeper Identity

/*** RESOURCES ***/
resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-${cluster}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyQuotaGb }
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource workspaceDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: workspace
  properties: {
    workspaceId: workspace.id
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${cluster}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
    IngestionMode: 'LogAnalytics'
    SamplingPercentage: 100 // a decision record that is sampled away explains nothing
  }
}

resource publish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, 'keeper', roles.metricsPublisher)
  scope: insights
  properties: {
    principalId: keeper.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.metricsPublisher)
    description: 'The keeper publishes its traces and metrics here, without a key.'
  }
}

resource entrance 'Microsoft.Insights/dataCollectionEndpoints@2023-03-11' = {
  name: 'dce-${cluster}'
  location: location
  tags: tags
  properties: { networkAcls: { publicNetworkAccess: 'Enabled' } }
}

resource collection 'Microsoft.Insights/dataCollectionRules@2024-03-11' = {
  name: 'dcr-${cluster}'
  location: location
  tags: tags
  kind: 'Linux'
  properties: {
    description: 'VM Insights, the journal of the units that matter, and the counters that alerts read.'
    dataCollectionEndpointId: entrance.id
    dataSources: {
      performanceCounters: [
        {
          name: 'vm-insights'
          streams: ['Microsoft-InsightsMetrics']
          samplingFrequencyInSeconds: 60
          counterSpecifiers: ['\\VmInsights\\DetailedMetrics']
        }
        {
          name: 'disks-and-memory'
          streams: ['Microsoft-Perf']
          samplingFrequencyInSeconds: 60
          counterSpecifiers: [
            'Logical Disk(*)\\% Used Space'
            'Memory(*)\\% Used Memory'
            'Processor(*)\\% Processor Time'
          ]
        }
      ]
      syslog: [
        {
          name: 'units'
          streams: ['Microsoft-Syslog']
          facilityNames: ['auth', 'authpriv', 'daemon', 'cron', 'kern', 'syslog', 'user', 'local0']
          logLevels: ['Info', 'Notice', 'Warning', 'Error', 'Critical', 'Alert', 'Emergency']
        }
      ]
    }
    destinations: { logAnalytics: [{ name: 'workspace', workspaceResourceId: workspace.id }] }
    dataFlows: [
      { streams: ['Microsoft-InsightsMetrics', 'Microsoft-Perf', 'Microsoft-Syslog'], destinations: ['workspace'] }
    ]
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the workspace.')
output id string = workspace.id

@description('Resource id of Application Insights.')
output insightsId string = insights.id

@description('Where the function app sends its traces; without a right it opens nothing, since keys are off.')
output connectionString string = insights.properties.ConnectionString

@description('Resource id of the data collection rule of every machine.')
output collectionRuleId string = collection.id
