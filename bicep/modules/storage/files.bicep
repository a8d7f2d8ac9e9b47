metadata name = 'Azure Files'
metadata description = 'A share that clients mount over NFS 4.1, without any key: only the subnet of the clients reaches its private endpoint.'

import { House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name of the account.')
param name string

@description('Required. Whether the region has zones, over which copies are spread.')
param zonal bool

@description('Required. Resource id of the data subnet.')
param subnetId string

@description('Required. Resource id of the private DNS zone of files.')
param zoneId string

/*** RESOURCES ***/
// checkov:skip=CKV_AZURE_3 where kind=FileStorage: NFS knows no HTTPS and Azure refuses its mounts while HTTPS is demanded; the account has no public side and no key
// checkov:skip=CKV_AZURE_206 where kind=FileStorage: Azure offers premium files with copies in one region only; the share is a convenience, not a backup
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: house.location
  tags: house.tags
  kind: 'FileStorage'
  sku: { name: zonal ? 'Premium_ZRS' : 'Premium_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Disabled'
    supportsHttpsTrafficOnly: false // NFS is not HTTPS: with it on, Azure refuses every mount
    networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices' }
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: { file: { enabled: true, keyType: 'Account' } }
    }
  }
}

resource shares 'Microsoft.Storage/storageAccounts/fileServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    protocolSettings: { nfs: { encryptionInTransit: { required: false } } }
    shareDeleteRetentionPolicy: { enabled: true, days: 14 }
  }
}

resource share 'Microsoft.Storage/storageAccounts/fileServices/shares@2025-06-01' = {
  parent: shares
  name: 'workloads'
  properties: { enabledProtocols: 'NFS', rootSquash: 'RootSquash', shareQuota: 100 }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: shares
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

module endpoint '../network/privateEndpoint.bicep' = {
  name: 'pe-${name}-file'
  params: { house: house, serviceId: account.id, part: 'file', subnetId: subnetId, zoneId: zoneId }
}
