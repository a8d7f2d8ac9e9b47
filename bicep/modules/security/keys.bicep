metadata name = 'Keys of the keeper'
metadata description = 'Keys that never leave the vault. Azure makes a key once and returns the same one on every later deployment.'

import { Grant, Identity } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the vault, in this resource group.')
param vaultName string

@description('Required. Whether keys live in a hardware module.')
param hardware bool

@description('Required. Whether managed disks are encrypted with a key of ours.')
param encryptsDisks bool

@description('Required. Identity that encrypts managed disks with a key of ours; null for keys of the platform.')
param disks Identity?

@description('Required. Who wraps or unwraps with the key of snapshots besides the keeper, and why.')
param snapshotGrants Grant[]

/*** VARIABLES ***/
// The keeper rotates the CA key itself, together with the bundle; old versions stay, since certificates name them.
var byTheKeeper = {
  attributes: { expiryTime: 'P2Y' }
  lifetimeActions: [{ action: { type: 'notify' }, trigger: { timeBeforeExpiry: 'P60D' } }]
}
var byAzure = {
  attributes: { expiryTime: 'P2Y' }
  lifetimeActions: [
    { action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P1Y' } }
    { action: { type: 'notify' }, trigger: { timeBeforeExpiry: 'P60D' } }
  ]
}

/*** RESOURCES ***/
resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

@description('Signs the certificates of every agent.')
// checkov:skip=CKV_AZURE_112 where properties.kty=EC: keys live in a hardware module with customerKeys = 'Hardware', as production-ha does; otherwise Azure keeps them in software
resource authority 'Microsoft.KeyVault/vaults/keys@2024-11-01' = {
  parent: vault
  name: 'nomad-ca'
  properties: {
    kty: hardware ? 'EC-HSM' : 'EC'
    curveName: 'P-384'
    keyOps: ['sign', 'verify']
    attributes: { enabled: true, exportable: false }
    rotationPolicy: byTheKeeper
  }
}

@description('Wraps the data key of every snapshot.')
// checkov:skip=CKV_AZURE_112 where properties.kty=RSA: keys live in a hardware module with customerKeys = 'Hardware', as production-ha does; otherwise Azure keeps them in software
resource snapshots 'Microsoft.KeyVault/vaults/keys@2024-11-01' = {
  parent: vault
  name: 'nomad-snapshots'
  properties: {
    kty: hardware ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: { enabled: true, exportable: false }
    rotationPolicy: byAzure
  }
}

@description('Encrypts managed disks.')
// checkov:skip=CKV_AZURE_112 where properties.kty=RSA: keys live in a hardware module with customerKeys = 'Hardware', as production-ha does; otherwise Azure keeps them in software
resource machines 'Microsoft.KeyVault/vaults/keys@2024-11-01' = if (encryptsDisks) {
  parent: vault
  name: 'machine-disks'
  properties: {
    kty: hardware ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: { enabled: true, exportable: false }
    rotationPolicy: byAzure
  }
}

resource snapshotRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in snapshotGrants: {
    name: guid(snapshots.id, grant.who, grant.role)
    scope: snapshots
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]

resource diskRight 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (encryptsDisks) {
  name: guid(machines.id, 'disks', roles.cryptoServiceEncryptionUser)
  scope: machines
  properties: {
    principalId: disks.?principalId ?? ''
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.cryptoServiceEncryptionUser
    )
    description: 'The disk encryption set wraps and unwraps disk keys with this key, and no other.'
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Address of the disk key without its version, so that Azure follows rotations; empty when there is none.')
output diskKeyUri string = !encryptsDisks ? '' : machines!.properties.keyUri
