metadata name = 'Backup of the servers'
metadata description = 'A daily image of each server, for the loss of a disk. The truth about the cluster is its Raft snapshots.'

import { House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name of each server.')
param serverNames string[]

@description('Required. Resource group of the servers.')
param computeGroup string

@description('Required. How backups are kept.')
param redundancy 'LocallyRedundant' | 'ZoneRedundant' | 'GeoRedundant'

/*** RESOURCES ***/
resource vault 'Microsoft.RecoveryServices/vaults@2026-01-01' = {
  name: 'rsv-${house.cluster}'
  location: house.location
  tags: house.tags
  sku: { name: 'RS0', tier: 'Standard' }
  identity: { type: 'SystemAssigned' }
  properties: {
    publicNetworkAccess: 'Disabled'
    securitySettings: {
      immutabilitySettings: { state: 'Unlocked' }
      softDeleteSettings: {
        softDeleteState: 'AlwaysON'
        enhancedSecurityState: 'AlwaysON'
        softDeleteRetentionPeriodInDays: 14
      }
    }
    redundancySettings: {
      standardTierStorageRedundancy: redundancy
      crossRegionRestore: redundancy == 'GeoRedundant' ? 'Enabled' : 'Disabled'
    }
    monitoringSettings: {
      azureMonitorAlertSettings: {
        alertsForAllJobFailures: 'Enabled'
        alertsForAllFailoverIssues: 'Enabled'
        alertsForAllReplicationIssues: 'Enabled'
      }
    }
  }
}

resource daily 'Microsoft.RecoveryServices/vaults/backupPolicies@2025-08-01' = {
  parent: vault
  name: 'daily'
  properties: {
    backupManagementType: 'AzureIaasVM'
    policyType: 'V2'
    instantRpRetentionRangeInDays: 2
    timeZone: 'UTC'
    schedulePolicy: {
      schedulePolicyType: 'SimpleSchedulePolicyV2'
      scheduleRunFrequency: 'Daily'
      dailySchedule: { scheduleRunTimes: ['2025-01-01T04:00:00Z'] }
    }
    retentionPolicy: {
      retentionPolicyType: 'LongTermRetentionPolicy'
      dailySchedule: {
        retentionTimes: ['2025-01-01T04:00:00Z']
        retentionDuration: { count: 14, durationType: 'Days' }
      }
      weeklySchedule: {
        daysOfTheWeek: ['Sunday']
        retentionTimes: ['2025-01-01T04:00:00Z']
        retentionDuration: { count: 8, durationType: 'Weeks' }
      }
    }
  }
}

resource servers 'Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems@2025-08-01' = [
  for server in serverNames: {
    name: '${vault.name}/Azure/iaasvmcontainer;iaasvmcontainerv2;${computeGroup};${server}/vm;iaasvmcontainerv2;${computeGroup};${server}'
    location: house.location
    tags: house.tags
    properties: {
      protectedItemType: 'Microsoft.Compute/virtualMachines'
      policyId: daily.id
      sourceResourceId: resourceId(computeGroup, 'Microsoft.Compute/virtualMachines', server)
    }
  }
]

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (house.lock != 'None') {
  name: 'keep'
  scope: vault
  properties: { level: house.lock, notes: 'Images of the servers.' }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: house.workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Health', enabled: true }]
  }
}
