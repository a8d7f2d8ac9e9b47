metadata name = 'Roles of the keeper'
metadata description = 'Just the calls that the keeper makes. Compare with keeper/azure: an action without a call there is one too many.'

import { KeeperRoles } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the cluster.')
param cluster string

@description('Required. Name (a GUID) of each role.')
param names KeeperRoles

@description('Required. Resource groups that the roles may be granted in, by id.')
param scopes string[]

/*** VARIABLES ***/
var machines = [
  // Observe: capacity, tags, ETag, instances and their state.
  'Microsoft.Compute/virtualMachineScaleSets/read'
  'Microsoft.Compute/virtualMachineScaleSets/instanceView/read'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/read'
  'Microsoft.Compute/virtualMachines/read'
  'Microsoft.Compute/virtualMachines/instanceView/read'
  'Microsoft.Network/networkInterfaces/read'
  'Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read'
  'Microsoft.Insights/metrics/read'
  // Grow: PATCH of the capacity.
  'Microsoft.Compute/virtualMachineScaleSets/write'
  // Shrink and repair: only ever named instances.
  'Microsoft.Compute/virtualMachineScaleSets/delete/action'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/delete'
  'Microsoft.Compute/virtualMachines/delete'
  'Microsoft.Compute/virtualMachineScaleSets/reimage/action'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/reimage/action'
  'Microsoft.Compute/virtualMachines/reimage/action'
  'Microsoft.Compute/virtualMachineScaleSets/restart/action'
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/restart/action'
  'Microsoft.Compute/virtualMachines/restart/action'
  // Keep Azure's own repairs away while the keeper works on an instance.
  'Microsoft.Compute/virtualMachineScaleSets/setOrchestrationServiceState/action'
]

var secrets = [
  'Microsoft.KeyVault/vaults/secrets/readMetadata/action'
  'Microsoft.KeyVault/vaults/secrets/getSecret/action'
  'Microsoft.KeyVault/vaults/secrets/setSecret/action'
  'Microsoft.KeyVault/vaults/secrets/update/action'
]

var authority = concat(secrets, [
  'Microsoft.KeyVault/vaults/keys/read'
  'Microsoft.KeyVault/vaults/keys/sign/action'
  'Microsoft.KeyVault/vaults/keys/wrap/action'
  'Microsoft.KeyVault/vaults/keys/unwrap/action'
  'Microsoft.KeyVault/vaults/keys/rotate/action'
])

var leaves = concat(secrets, [
  'Microsoft.KeyVault/vaults/certificates/read'
  'Microsoft.KeyVault/vaults/certificates/create/action'
  'Microsoft.KeyVault/vaults/certificates/update/action'
  'Microsoft.KeyVault/vaults/certificates/import/action'
])

/*** RESOURCES ***/
resource operator 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: names.machines
  properties: {
    roleName: 'Keeper of ${cluster}: machines (${uniqueString(resourceGroup().id)})'
    description: 'Sizes, repairs and watches the client pools of ${cluster}. No right to create, to log in or to run a command.'
    type: 'CustomRole'
    assignableScopes: scopes
    permissions: [{ actions: machines, notActions: [], dataActions: [], notDataActions: [] }]
  }
}

resource joiner 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: names.joins
  properties: {
    roleName: 'Keeper of ${cluster}: joins (${uniqueString(resourceGroup().id)})'
    description: 'What Azure asks for besides when a scale set of ${cluster} grows: to put instances into their subnet, under their identity.'
    type: 'CustomRole'
    assignableScopes: scopes
    permissions: [
      {
        actions: [
          'Microsoft.Network/virtualNetworks/subnets/join/action'
          'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action'
        ]
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
