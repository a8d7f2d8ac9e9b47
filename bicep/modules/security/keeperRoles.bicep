metadata name = 'Roles of the keeper'
metadata description = 'Just the calls that the keeper makes, and nothing that it does not.'

import { KeeperRoles } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the cluster.')
param cluster string

@description('Required. Name (a GUID) of each role.')
param names KeeperRoles

@description('Required. Resource groups that the roles may be granted in, by id.')
param scopes string[]

/*** VARIABLES ***/
// Each action stands here because an adapter in keeper/azure makes the call: tests/infra/test_keeper_roles.py plays them all.
var machines = [
  // Observe: capacity, tags, ETag, instances and their state.
  'Microsoft.Compute/virtualMachineScaleSets/read'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'
  'Microsoft.Compute/virtualMachines/read'
  'Microsoft.Insights/metrics/read'
  // Grow: PATCH of the capacity. Azure then checks that whoever grows may read the disk key that the model names.
  'Microsoft.Compute/virtualMachineScaleSets/write'
  'Microsoft.Compute/diskEncryptionSets/read'
  // Shrink: only ever named instances.
  'Microsoft.Compute/virtualMachineScaleSets/delete/action'
]

// What else Azure checks when a pool grows, each given just where the model of the pool points.
var joins = [
  'Microsoft.Network/virtualNetworks/subnets/read' // how many addresses are left
  'Microsoft.Network/virtualNetworks/subnets/join/action'
  'Microsoft.Network/applicationGateways/backendAddressPools/join/action'
  'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action'
]

var secrets = [
  'Microsoft.KeyVault/vaults/secrets/getSecret/action'
  'Microsoft.KeyVault/vaults/secrets/setSecret/action'
]

// Data keys are wrapped with the public part that `read` gives; only unwrapping asks the vault.
var authority = concat(secrets, [
  'Microsoft.KeyVault/vaults/secrets/readMetadata/action'
  'Microsoft.KeyVault/vaults/keys/read'
  'Microsoft.KeyVault/vaults/keys/sign/action'
  'Microsoft.KeyVault/vaults/keys/unwrap/action'
  'Microsoft.KeyVault/vaults/keys/rotate/action'
])

var leaves = concat(secrets, [
  'Microsoft.KeyVault/vaults/certificates/read'
  'Microsoft.KeyVault/vaults/certificates/create/action'
])

/*** RESOURCES ***/
resource operator 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: names.machines
  properties: {
    roleName: 'Keeper of ${cluster}: machines (${uniqueString(resourceGroup().id)})'
    description: 'Sizes and watches the client pools of ${cluster}. No right to log in or to run a command.'
    type: 'CustomRole'
    assignableScopes: scopes
    permissions: [{ actions: machines, notActions: [], dataActions: [], notDataActions: [] }]
  }
}

resource joiner 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: names.joins
  properties: {
    roleName: 'Keeper of ${cluster}: joins (${uniqueString(resourceGroup().id)})'
    description: 'What Azure asks for besides when a scale set of ${cluster} grows: to put instances into their subnet, under their identity, behind their gateway.'
    type: 'CustomRole'
    assignableScopes: scopes
    permissions: [
      {
        actions: joins
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource certifier 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: names.authority
  properties: {
    roleName: 'Keeper of ${cluster}: authority (${uniqueString(resourceGroup().id)})'
    description: 'Signs with the CA key, wraps and unwraps snapshot keys, and keeps its own tokens. No delete, no purge, no export.'
    type: 'CustomRole'
    assignableScopes: scopes
    permissions: [{ actions: [], notActions: [], dataActions: authority, notDataActions: [] }]
  }
}

resource publisher 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: names.publisher
  properties: {
    roleName: 'Keeper of ${cluster}: publisher (${uniqueString(resourceGroup().id)})'
    description: 'Writes the secrets and certificates that machines read. No delete, no purge.'
    type: 'CustomRole'
    assignableScopes: scopes
    permissions: [{ actions: [], notActions: [], dataActions: leaves, notDataActions: [] }]
  }
}
