metadata name = 'Keys of the servers'
metadata description = 'Keys that never leave the vault. Azure makes a key once and returns the same one on every later deployment.'

import { Identity } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the vault, in this resource group.')
param vaultName string

@description('Required. Whether keys live in a hardware module.')
param hardware bool

@description('Required. Whether HashiCorp Vault runs on the servers.')
param vault bool

@description('Required. Identity of the servers.')
param servers Identity

/*** VARIABLES ***/
var byAzure = {
  attributes: { expiryTime: 'P2Y' }
  lifetimeActions: [
    { action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P1Y' } }
    { action: { type: 'notify' }, trigger: { timeBeforeExpiry: 'P60D' } }
  ]
}

/*** RESOURCES ***/
resource keyVault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

@description('Wraps the root keyring of Nomad (1.9 and later), so that a snapshot alone opens no variable.')
// checkov:skip=CKV_AZURE_112 where properties.kty=RSA: keys live in a hardware module with customerKeys = 'Hardware', as production-ha does; otherwise Azure keeps them in software
resource keyring 'Microsoft.KeyVault/vaults/keys@2024-11-01' = {
  parent: keyVault
  name: 'nomad-keyring'
  properties: {
    kty: hardware ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: { enabled: true, exportable: false }
    rotationPolicy: byAzure
  }
}

@description('Unseals HashiCorp Vault.')
// checkov:skip=CKV_AZURE_112 where properties.kty=RSA: keys live in a hardware module with customerKeys = 'Hardware', as production-ha does; otherwise Azure keeps them in software
resource seal 'Microsoft.KeyVault/vaults/keys@2024-11-01' = if (vault) {
  parent: keyVault
  name: 'vault-seal'
  properties: {
    kty: hardware ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: { enabled: true, exportable: false }
    rotationPolicy: byAzure
  }
}

resource keyringRight 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(keyring.id, 'servers', roles.cryptoServiceEncryptionUser)
  scope: keyring
  properties: {
    principalId: servers.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.cryptoServiceEncryptionUser
    )
    description: 'Nomad servers wrap and unwrap their root keyring with this key.'
  }
}

resource sealRight 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (vault) {
  name: guid(seal.id, 'servers', roles.cryptoServiceEncryptionUser)
  scope: seal
  properties: {
    principalId: servers.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.cryptoServiceEncryptionUser
    )
    description: 'HashiCorp Vault on the servers unseals itself with this key.'
  }
}
