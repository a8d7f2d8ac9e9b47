metadata name = 'Compute'
metadata description = 'Every machine: servers, client pools, a dedicated Consul, a jump box; and the keeper\'s right to size and repair them.'

import { House, Identities, Parts, VaultNames } from '../../types.bicep'
import { ClientKnobs, PlannedPool, ServerKnobs, SharedKnobs } from '../../machineTypes.bicep'
import { roles } from '../../roles.bicep'
import { userDataOf } from 'userData.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. How every machine is made.')
param machines { adminUsername: string, sshPublicKey: string, ubuntu: '22.04' | '24.04', collectionRuleId: string }

@description('Required. Which optional parts are on.')
param parts Parts

@description('Required. Address of the disk key, without a version; empty for keys of the platform.')
param diskKeyUri string

@description('Required. Resource id of the vault of the disk key.')
param keeperVaultId string

@description('Required. Number of servers.')
@allowed([3, 5])
param serverCount int

@description('Required. Size of a server.')
param serverSku string

@description('Required. Kind of the data disk of a server.')
param serverDisk 'Premium_LRS' | 'PremiumV2_LRS' | 'UltraSSD_LRS'

@description('Required. Zones to take in turn; empty for availability sets.')
param zones string[]

@description('Required. Address of each server, in order.')
param serverAddresses string[]

@description('Required. Address of each machine of a dedicated Consul, in order; empty for none.')
param consulAddresses string[]

@description('Required. Address of the jump box; empty for none.')
param jumpBoxAddress string

@description('Required. Resource id of each subnet.')
param subnetIds object

@description('Required. Backend pool of the servers, by resource id.')
param serverPoolId string

@description('Required. Backend pools of Application Gateway, by resource id.')
param gatewayPoolIds string[]

@description('Required. What every member must know.')
param knobs SharedKnobs

@description('Required. What servers must know besides.')
param serverKnobs ServerKnobs

@description('Required. What clients must know besides.')
param clientKnobs ClientKnobs

@description('Required. Address of the vault of each role.')
param vaultUrls VaultNames

@description('Required. The pools, with every default filled in.')
param pools PlannedPool[]

@description('Required. Every identity.')
param identities Identities

@description('Required. Name (a GUID) of the keeper\'s role over machines.')
param keeperRole string

@description('Required. Name of each window in which servers are patched.')
param windowNames string[]

@description('Required. Object id of the Entra group that may log in to machines as administrator; empty for none.')
param adminGroupId string

/*** VARIABLES ***/
var bundle = loadJsonContent('../../../cloud-init/bundle.json')
var windows = map(windowNames, window => resourceId('Microsoft.Maintenance/maintenanceConfigurations', window))
var machineHouse = union(machines, { diskEncryptionSetId: !parts.disks ? '' : diskEncryption!.outputs.id })

/*** RESOURCES ***/
resource operates 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, 'keeper', keeperRole)
  properties: {
    principalId: identities.keeper.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keeperRole)
    description: 'The keeper sizes and repairs client pools, and restarts servers one at a time.'
  }
}

resource administers 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(adminGroupId)) {
  name: guid(resourceGroup().id, adminGroupId, roles.machineAdministratorLogin)
  properties: {
    principalId: adminGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.machineAdministratorLogin)
    description: 'Operators log in to machines with Entra ID, for what runbooks ask of a person.'
  }
}

module diskEncryption 'diskEncryption.bicep' = if (parts.disks) {
  name: 'disk-encryption'
  params: { house: house, identityId: identities.?disks.?id ?? '', vaultId: keeperVaultId, keyUrl: diskKeyUri }
}

module patching '../protection/patching.bicep' = {
  name: 'patching'
  params: { names: windowNames, location: house.location, tags: house.tags, startTime: '02:00' }
}

module serverMachines 'servers.bicep' = {
  name: 'servers'
  params: {
    house: house
    machines: machineHouse
    role: 'server'
    count: serverCount
    addresses: serverAddresses
    sku: serverSku
    zones: zones
    subnetId: subnetIds.servers
    backendPoolIds: [serverPoolId]
    identityId: identities.servers.id
    dataDisk: { sku: serverDisk, sizeGb: 128 }
    maintenanceIds: windows
    knobs: union(knobs, serverKnobs, {
      vaultUrl: vaultUrls.servers
      identityClientId: identities.servers.clientId
      dataDiskLun: 0
    })
  }
  dependsOn: [patching]
}

module consulMachines 'servers.bicep' = if (parts.consul) {
  name: 'consul'
  params: {
    house: house
    machines: machineHouse
    role: 'consul'
    count: 3
    addresses: consulAddresses
    sku: 'Standard_D2s_v5'
    zones: zones
    subnetId: subnetIds.data
    backendPoolIds: []
    identityId: identities.consul!.id
    dataDisk: { sku: 'Premium_LRS', sizeGb: 128 }
    maintenanceIds: windows
    knobs: union(knobs, { vaultUrl: vaultUrls.consul, identityClientId: identities.consul!.clientId, dataDiskLun: 0 })
  }
  dependsOn: [patching]
}

module clientPools 'pool.bicep' = [
  for pool in pools: {
    name: 'pool-${pool.name}'
    params: {
      house: house
      machines: machineHouse
      pool: pool
      subnetId: subnetIds.clients
      // Whoever runs where snapshots are rehearsed may read them all: such a pool serves nobody from outside.
      identityIds: concat([identities.clients.id], pool.rehearsals ? [identities.drill!.id] : [])
      gatewayPoolIds: pool.rehearsals ? [] : gatewayPoolIds
      userData: userDataOf(
        'client',
        union(knobs, clientKnobs, {
          vaultUrl: vaultUrls.clients
          identityClientId: identities.clients.clientId
          datacenter: pool.datacenter
          nodePool: pool.nodePool
          nodeClass: pool.nodeClass
          pool: pool.name
        }),
        bundle
      )
    }
  }
]

module jumpBoxMachine 'machine.bicep' = if (parts.jumpBox) {
  name: 'jump-box'
  params: {
    house: house
    machines: machineHouse
    name: '${house.cluster}-jumpbox'
    sku: 'Standard_B2s_v2'
    zone: empty(zones) ? '' : zones[0]
    availabilitySetId: ''
    subnetId: subnetIds.management
    address: jumpBoxAddress
    backendPoolIds: []
    identityId: identities.jumpBox!.id
    member: false
    userData: ''
    dataDisk: null
    maintenanceId: windows[0]
  }
  dependsOn: [patching]
}
