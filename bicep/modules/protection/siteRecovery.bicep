metadata name = 'Site Recovery'
metadata description = 'Copies the disks of the servers to a second region all the time, so that they can be started there.'

import { House, Recovery } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Where the servers would be started.')
param recovery Recovery

@description('Required. Name of each server.')
param serverNames string[]

@description('Required. Resource group of the servers.')
param computeGroup string

@description('Required. Name of the storage account that changes pass through, in this resource group.')
param cacheAccount string

/*** RESOURCES ***/
resource vault 'Microsoft.RecoveryServices/vaults@2026-01-01' = {
  name: 'rsv-${house.cluster}-recovery'
  location: recovery.location
  tags: house.tags
  sku: { name: 'RS0', tier: 'Standard' }
  identity: { type: 'SystemAssigned' }
  properties: {
    publicNetworkAccess: 'Enabled'
    securitySettings: {
      immutabilitySettings: { state: 'Unlocked' }
      softDeleteSettings: {
        softDeleteState: 'AlwaysON'
        enhancedSecurityState: 'AlwaysON'
        softDeleteRetentionPeriodInDays: 14
      }
    }
  }
}

resource cache 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: cacheAccount
}

resource cacheRight 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(cache.id, vault.name, roles.blobDataContributor)
  scope: cache
  properties: {
    principalId: vault.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
    description: 'Site Recovery passes the changes of disks through this account, which holds nothing else.'
  }
}

resource fabrics 'Microsoft.RecoveryServices/vaults/replicationFabrics@2025-08-01' = [
  for region in [house.location, recovery.location]: {
    parent: vault
    name: 'fabric-${region}'
    properties: { customDetails: { instanceType: 'Azure', location: region } }
  }
]

resource containers 'Microsoft.RecoveryServices/vaults/replicationFabrics/replicationProtectionContainers@2025-08-01' = [
  for (region, index) in [house.location, recovery.location]: {
    parent: fabrics[index]
    name: 'machines'
    properties: { providerSpecificInput: [{ instanceType: 'A2A' }] }
  }
]

resource policy 'Microsoft.RecoveryServices/vaults/replicationPolicies@2025-08-01' = {
  parent: vault
  name: 'day'
  properties: {
    providerSpecificInput: {
      instanceType: 'A2A'
      multiVmSyncStatus: 'Enable'
      recoveryPointHistory: 1440
      appConsistentFrequencyInMinutes: 0
      crashConsistentFrequencyInMinutes: 5
    }
  }
}

resource mapping 'Microsoft.RecoveryServices/vaults/replicationFabrics/replicationProtectionContainers/replicationProtectionContainerMappings@2025-08-01' = {
  parent: containers[0]
  name: 'to-${recovery.location}'
  properties: {
    policyId: policy.id
    targetProtectionContainerId: containers[1].id
    providerSpecificInput: { instanceType: 'A2A', agentAutoUpdateStatus: 'Disabled' }
  }
}

resource servers 'Microsoft.RecoveryServices/vaults/replicationFabrics/replicationProtectionContainers/replicationProtectedItems@2025-08-01' = [
  for server in serverNames: {
    parent: containers[0]
    name: server
    properties: {
      policyId: policy.id
      providerSpecificDetails: {
        instanceType: 'A2A'
        fabricObjectId: resourceId(computeGroup, 'Microsoft.Compute/virtualMachines', server)
        recoveryContainerId: containers[1].id
        recoveryResourceGroupId: recovery.resourceGroupId
        recoveryAzureNetworkId: recovery.networkId
        recoverySubnetName: recovery.subnetName
        vmManagedDisks: [
          for disk in ['os', 'data']: {
            diskId: resourceId(computeGroup, 'Microsoft.Compute/disks', 'disk-${server}-${disk}')
            primaryStagingAzureStorageAccountId: cache.id
            recoveryResourceGroupId: recovery.resourceGroupId
            recoveryReplicaDiskAccountType: 'Premium_LRS'
            recoveryTargetDiskAccountType: 'Premium_LRS'
            recoveryDiskEncryptionSetId: recovery.?diskEncryptionSetId
          }
        ]
      }
    }
    dependsOn: [mapping, cacheRight]
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: house.workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}
