metadata name = 'Key Vault'
metadata description = 'One vault for one audience: what stands in it is just what that audience may read. Nothing is written here by the template.'

import { Grant, House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name of the vault: 3 to 24 letters, digits and hyphens.')
@minLength(3)
@maxLength(24)
param name string

@description('Required. Resource id of the data subnet.')
param subnetId string

@description('Required. Resource id of the private DNS zone of vaults.')
param zoneId string

@description('Required. Who may do what in this vault, and why.')
param grants Grant[]

@description('Required. Standard, or Premium for keys in a hardware module.')
param sku 'standard' | 'premium'

/*** RESOURCES ***/
resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: house.location
  tags: house.tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: sku }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices' }
  }
}

resource rights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(vault.id, grant.who, grant.role)
    scope: vault
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (house.lock != 'None') {
  name: 'keep'
  scope: vault
  properties: { level: house.lock, notes: 'Without this vault no machine can prove who it is.' }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

module endpoint '../network/privateEndpoint.bicep' = {
  name: 'pe-${name}'
  params: { house: house, serviceId: vault.id, part: 'vault', subnetId: subnetId, zoneId: zoneId }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the vault.')
output id string = vault.id
