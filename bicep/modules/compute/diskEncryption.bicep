metadata name = 'Disk encryption set'
metadata description = 'Lets managed disks be encrypted with a key of ours, and follow its rotation.'

import { House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Resource id of the identity that may wrap and unwrap with the key.')
param identityId string

@description('Required. Resource id of the vault of the key.')
param vaultId string

@description('Required. Address of the key, without a version.')
param keyUrl string

/*** RESOURCES ***/
resource set 'Microsoft.Compute/diskEncryptionSets@2025-01-02' = {
  name: 'des-${house.cluster}'
  location: house.location
  tags: house.tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    // As each disk says it. Encryption at host is the second layer; Azure offers none in storage for Ultra and Premium v2.
    encryptionType: 'EncryptionAtRestWithCustomerKey'
    activeKey: { keyUrl: keyUrl, sourceVault: { id: vaultId } }
    rotationToLatestKeyVersionEnabled: true
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the set.')
output id string = set.id
