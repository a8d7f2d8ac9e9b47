metadata name = 'Storage account'
metadata description = 'A hardened account: no keys, no public network, TLS 1.2, versions and soft delete. What stands in it is the business of the caller.'

import { Grant, House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name of the account.')
@minLength(3)
@maxLength(24)
param name string

@description('Required. How copies are kept.')
param redundancy
  | 'Standard_LRS'
  | 'Standard_ZRS'
  | 'Standard_GRS'
  | 'Standard_GZRS'
  | 'Standard_RAGRS'
  | 'Standard_RAGZRS'

@description('Required. Parts of the account that get a private endpoint beside it; that of an account in another region is the business of the caller.')
param parts ('blob' | 'queue' | 'table')[]

@description('Required. Resource id of the data subnet.')
param subnetId string

@description('Required. Resource id of the private DNS zone of each part.')
param zoneIds object

@description('Required. Whether former versions of blobs are kept. Off for the host of the function app, which keeps nothing.')
param versions bool

@description('Required. Containers that may be written and deleted freely.')
param containers string[]

@description('Required. Rights over the whole account, and why. Rights over one container or queue belong beside it.')
param grants Grant[]

/*** RESOURCES ***/
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: house.location
  tags: house.tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Disabled'
    supportsHttpsTrafficOnly: true
    networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices' }
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: {
        blob: { enabled: true, keyType: 'Account' }
        file: { enabled: true, keyType: 'Account' }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: versions
    deleteRetentionPolicy: { enabled: true, days: 14 }
    containerDeleteRetentionPolicy: { enabled: true, days: 14 }
  }
}

resource boxes 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for container in containers: {
    parent: blobs
    name: container
    properties: { publicAccess: 'None' }
  }
]

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-01-01' = if (contains(parts, 'table')) {
  parent: account
  name: 'default'
}

resource rights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(account.id, grant.who, grant.role)
    scope: account
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (house.lock != 'None' && versions) {
  name: 'keep'
  scope: account
  properties: { level: house.lock, notes: 'Snapshots and the record of what the keeper did.' }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: { workspaceId: house.workspaceId, metrics: [{ category: 'AllMetrics', enabled: true }] }
}

resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: blobs
  properties: { workspaceId: house.workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}

resource queueDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: queues
  properties: { workspaceId: house.workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}

resource tableDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (contains(parts, 'table')) {
  name: 'to-workspace'
  scope: tables
  properties: { workspaceId: house.workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}

module endpoints '../network/privateEndpoint.bicep' = [
  for part in parts: {
    name: 'pe-${name}-${part}'
    params: { house: house, serviceId: account.id, part: part, subnetId: subnetId, zoneId: zoneIds[part] }
  }
]

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the account.')
output id string = account.id
