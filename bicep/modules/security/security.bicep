metadata name = 'Security'
metadata description = 'Vaults, their keys, and every right in them. Each role has a vault of its own, so that a machine can read just its own secrets.'

import { House, Identities, KeeperRoles, Parts, VaultNames } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name of each vault.')
param vaultNames VaultNames

@description('Required. Resource id of the data subnet.')
param subnetId string

@description('Required. Resource id of the private DNS zone of vaults.')
param zoneId string

@description('Required. Names (GUIDs) of the keeper\'s own roles.')
param keeperRoles KeeperRoles

@description('Required. Every identity.')
param identities Identities

@description('Required. Whether keys live in a hardware module.')
param hardware bool

@description('Required. Which optional parts are on.')
param parts Parts

/*** VARIABLES ***/
var sku = hardware ? 'premium' : 'standard'
var publish = {
  who: 'keeper'
  principalId: identities.keeper.principalId
  role: keeperRoles.publisher
  why: 'The keeper makes every secret and certificate that these machines read.'
}

var deposits = !parts.keystore
  ? []
  : [
      {
        who: 'servers'
        principalId: identities.servers.principalId
        role: roles.cryptoServiceEncryptionUser
        why: 'Servers before Nomad 1.9 seal their root keys with this key, since no snapshot holds them. They can read no snapshot.'
      }
    ]
var drills = !parts.drill
  ? []
  : [
      {
        who: 'drill'
        principalId: identities.drill!.principalId
        role: roles.cryptoServiceEncryptionUser
        why: 'The restore drill opens the snapshot that it rehearses: this role is the smallest that unwraps with a key.'
      }
    ]

/*** RESOURCES ***/
module keeperVault 'keyVault.bicep' = {
  name: 'vault-keeper'
  params: {
    house: house
    name: vaultNames.keeper
    subnetId: subnetId
    zoneId: zoneId
    sku: sku
    grants: [
      {
        who: 'keeper'
        principalId: identities.keeper.principalId
        role: keeperRoles.authority
        why: 'The keeper signs certificates with the CA key, wraps snapshot keys, and keeps its own tokens here. Nobody else reads this vault.'
      }
    ]
  }
}

module serversVault 'keyVault.bicep' = {
  name: 'vault-servers'
  params: {
    house: house
    name: vaultNames.servers
    subnetId: subnetId
    zoneId: zoneId
    sku: sku
    grants: [
      publish
      {
        who: 'servers'
        principalId: identities.servers.principalId
        role: roles.secretsUser
        why: 'Servers read their gossip key, certificate and bundle. This vault holds nothing else.'
      }
    ]
  }
}

module clientsVault 'keyVault.bicep' = {
  name: 'vault-clients'
  params: {
    house: house
    name: vaultNames.clients
    subnetId: subnetId
    zoneId: zoneId
    sku: sku
    grants: concat(
      [
        publish
        {
          who: 'clients'
          principalId: identities.clients.principalId
          role: roles.secretsUser
          why: 'Clients read their certificate and bundle. This vault holds nothing that a workload could turn against the servers.'
        }
      ],
      !parts.gateway
        ? []
        : [
            {
              who: 'gateway'
              principalId: identities.gateway!.principalId
              role: roles.secretsUser
              why: 'Application Gateway reads the certificate that it serves for workloads.'
            }
          ]
    )
  }
}

module consulVault 'keyVault.bicep' = if (parts.consul) {
  name: 'vault-consul'
  params: {
    house: house
    name: vaultNames.consul
    subnetId: subnetId
    zoneId: zoneId
    sku: sku
    grants: [
      publish
      {
        who: 'consul'
        principalId: identities.consul!.principalId
        role: roles.secretsUser
        why: 'Consul servers read their gossip key, certificate and bundle. This vault holds nothing else.'
      }
    ]
  }
}

module keys 'keys.bicep' = {
  name: 'keys'
  params: {
    vaultName: vaultNames.keeper
    hardware: hardware
    snapshotGrants: concat(deposits, drills)
    encryptsDisks: parts.disks
    disks: identities.?disks
  }
  dependsOn: [keeperVault]
}

module serverKeys 'serverKeys.bicep' = {
  name: 'server-keys'
  params: { vaultName: vaultNames.servers, hardware: hardware, vault: parts.vault, servers: identities.servers }
  dependsOn: [serversVault]
}

resource clientIdentities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for who in concat(['clients'], parts.drill ? ['drill'] : []): { name: 'id-${house.cluster}-${who}' }
]

resource assign 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for index in range(0, parts.drill ? 2 : 1): {
    name: guid(clientIdentities[index].id, 'keeper', keeperRoles.joins)
    scope: clientIdentities[index]
    properties: {
      principalId: identities.keeper.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keeperRoles.joins)
      description: 'When a pool grows, Azure checks that the keeper may give new instances the identities of the pool.'
    }
  }
]

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the vault of the keeper.')
output keeperVaultId string = keeperVault.outputs.id

@description('Address of the disk key; empty when there is none.')
output diskKeyUri string = keys.outputs.diskKeyUri
