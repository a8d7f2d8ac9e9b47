metadata name = 'Platform'
metadata description = 'The whole flow: who there is, the network, vaults, storage, machines, the keeper, and what watches over them.'

import { Groups, KeeperChoices, MemberChoices, NetworkChoices, People, StateChoices } from 'choices.bicep'
import { addressesOf, endpointZonesOf, hostsOf, keysInFiles, knobsOf, Names, peersOf, poolsOf, poolsSetting, recordsOf } from 'plan.bicep'
import { ports } from 'ports.bicep'
import { House } from 'types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Names that must be unique in the world.')
param names Names

@description('Required. The resource group of each area.')
param groups Groups

@description('Required. Who runs the cluster, and from where.')
param people People

@description('Required. The network, its ways in and its ways out.')
param network NetworkChoices

@description('Required. Servers, clients, and what runs on them.')
param members MemberChoices

@description('Required. What is kept, where, and for how long.')
param state StateChoices

@description('Required. The keeper itself, and what it is told.')
param keeper KeeperChoices

/*** VARIABLES ***/
var storageDomain = environment().suffixes.storage
var domain = '${house.cluster}.internal'
var dedicated = members.consul.mode == 'Dedicated' ? 3 : 0
var apiAddress = cidrHost(network.subnets.servers, 3)
var serverAddresses = addressesOf(network.subnets.servers, 9, members.serverCount)
var serverPeers = peersOf(house.cluster, 'server', members.serverCount, domain)
// Azure gives private endpoints the lowest free addresses of this subnet, before any machine stands: these lie beyond them.
var consulAddresses = addressesOf(network.subnets.data, 23, dedicated)
var consulPeers = peersOf(house.cluster, 'consul', dedicated, domain)
var pools = poolsOf(members.clientPools, members.zones, members.nomad.datacenter, loadJsonContent('sizes.json'))
var corridor = { queue: 'keeper', container: 'keeper' }
var parts = {
  consul: dedicated > 0
  copies: !empty(state.copyLocation)
  disks: state.customerKeys != 'Off'
  drill: !empty(filter(pools, pool => pool.rehearsals))
  gateway: network.?applicationGateway != null
  jumpBox: network.access == 'JumpBox'
  keystore: keysInFiles(members.releases.nomad)
  vault: members.vault
}
var vaultUrls = mapValues(names.vaults, vaultName => 'https://${vaultName}${environment().suffixes.keyvaultDns}')
var vaultSeal = members.vault
  ? { vaultName: names.vaults.servers, keyName: 'vault-seal', tenantId: tenant().tenantId }
  : null

/*** RESOURCES ***/
module identities 'modules/security/identities.bicep' = {
  name: 'identities'
  scope: resourceGroup(groups.security)
  params: { cluster: house.cluster, location: house.location, tags: house.tags, parts: parts }
}

module keeperRoles 'modules/security/keeperRoles.bicep' = {
  name: 'keeper-roles'
  scope: resourceGroup(groups.security)
  params: {
    cluster: house.cluster
    names: names.roles
    scopes: map(
      union([groups.network], [groups.compute], [groups.security]),
      group => subscriptionResourceId('Microsoft.Resources/resourceGroups', group)
    )
  }
}

module workspace 'modules/monitoring/workspace.bicep' = {
  name: 'workspace'
  scope: resourceGroup(groups.monitoring)
  params: {
    cluster: house.cluster
    location: house.location
    tags: house.tags
    retentionDays: keeper.logs.retentionDays
    dailyQuotaGb: keeper.logs.dailyQuotaGb
    keeper: identities.outputs.all.keeper
  }
}

module virtualNetwork 'modules/network/network.bicep' = {
  name: 'network'
  scope: resourceGroup(groups.network)
  params: {
    house: house
    network: network
    operatorSources: people.operatorSources
    adminGroupId: people.adminGroupId
    releaseHosts: hostsOf([members.releases.?mirror.?url ?? '', members.releases.?mirror.?cniUrl ?? ''])
    consul: members.consul.mode
    vault: members.vault
    files: state.files
    recovery: state.backup.?recovery != null
    zones: members.zones
    domain: domain
    records: concat(
      [{ name: 'nomad', addresses: [apiAddress] }],
      members.consul.mode == 'Off'
        ? []
        : [{ name: 'consul', addresses: dedicated > 0 ? consulAddresses : serverAddresses }],
      recordsOf(serverPeers, serverAddresses),
      recordsOf(consulPeers, consulAddresses)
    )
    endpointZones: endpointZonesOf(storageDomain, state.files)
    apiAddress: apiAddress
    identities: identities.outputs.all
    joinRole: names.roles.joins
  }
  dependsOn: [keeperRoles, workspace]
}

module security 'modules/security/security.bicep' = {
  name: 'security'
  scope: resourceGroup(groups.security)
  params: {
    house: house
    parts: parts
    vaultNames: names.vaults
    subnetId: virtualNetwork.outputs.subnetIds.data
    zoneId: virtualNetwork.outputs.endpointZoneIds.vault
    keeperRoles: names.roles
    hardware: state.customerKeys == 'Hardware'
    identities: identities.outputs.all
  }
}

module storage 'modules/storage/storage.bicep' = {
  name: 'storage'
  scope: resourceGroup(groups.storage)
  params: {
    house: house
    names: names.accounts
    parts: parts
    redundancy: state.redundancy
    retentionDays: state.retentionDays
    queueName: corridor.queue
    containerName: corridor.container
    subnetId: virtualNetwork.outputs.subnetIds.data
    zoneIds: virtualNetwork.outputs.endpointZoneIds
    files: state.files
    zonal: !empty(members.zones)
    copyLocation: state.copyLocation
    flows: keeper.logs.?flowLogs != null
    recovery: state.backup.?recovery != null
    identities: identities.outputs.all
  }
}

module compute 'modules/compute/compute.bicep' = {
  name: 'compute'
  scope: resourceGroup(groups.compute)
  params: {
    house: house
    parts: parts
    machines: {
      adminUsername: people.adminUsername
      sshPublicKey: people.sshPublicKey
      ubuntu: members.ubuntu
      collectionRuleId: workspace.outputs.collectionRuleId
    }
    windowNames: names.windows
    adminGroupId: people.adminGroupId
    serverCount: members.serverCount
    serverSku: members.serverSku
    serverDisk: members.serverDisk
    zones: members.zones
    serverAddresses: serverAddresses
    consulAddresses: consulAddresses
    jumpBoxAddress: parts.jumpBox ? cidrHost(network.subnets.management, 9) : ''
    subnetIds: virtualNetwork.outputs.subnetIds
    serverPoolId: virtualNetwork.outputs.serverPoolId
    gatewayPoolIds: virtualNetwork.outputs.gatewayPoolIds
    pools: pools
    knobs: knobsOf(house.cluster, members, serverPeers, consulPeers)
    serverKnobs: {
      queueUrl: 'https://${names.accounts.state}.queue.${storageDomain}/${corridor.queue}'
      vaultSeal: vaultSeal
      keyringKey: { vaultName: names.vaults.servers, keyName: 'nomad-keyring', tenantId: tenant().tenantId }
      keystore: parts.keystore
        ? {
            blobUrl: 'https://${names.accounts.state}.blob.${storageDomain}'
            keyUrl: '${vaultUrls.keeper}/keys/nomad-snapshots'
          }
        : null
      authoritativeRegion: network.?federation.?authoritativeRegion
      federatedServers: network.?federation.?join
    }
    clientKnobs: {
      vaultSeal: vaultSeal
      filesShare: state.files
        ? { host: '${names.accounts.files}.file.${storageDomain}', path: '/${names.accounts.files}/workloads' }
        : null
    }
    vaultUrls: vaultUrls
    diskKeyUri: security.outputs.diskKeyUri
    keeperVaultId: security.outputs.keeperVaultId
    keeperRole: names.roles.machines
    identities: identities.outputs.all
  }
}

module functionApp 'modules/functions/keeper.bicep' = {
  name: 'function-app'
  scope: resourceGroup(groups.compute)
  params: {
    house: house
    names: names
    parts: parts
    identities: identities.outputs.all
    keeper: keeper
    members: members
    pools: poolsSetting(pools, house.cluster, groups.compute)
    operatorSources: people.operatorSources
    apiAddress: apiAddress
    domain: domain
    corridor: corridor
    retentionDays: state.retentionDays
    subnetId: virtualNetwork.outputs.subnetIds.functions
    insightsConnection: workspace.outputs.connectionString
  }
  dependsOn: [storage]
}

module monitoring 'modules/monitoring/monitoring.bicep' = {
  name: 'monitoring'
  scope: resourceGroup(groups.monitoring)
  params: {
    house: house
    pools: [for pool in pools: { name: pool.name, scaleSet: 'vmss-${house.cluster}-${pool.name}' }]
    products: members.consul.mode == 'Off' ? ['nomad'] : ['nomad', 'consul']
    rehearsals: parts.drill
    computeGroup: groups.compute
    networkGroup: groups.network
    storageGroup: groups.storage
    functionAppId: functionApp.outputs.id
    functionAppHost: functionApp.outputs.hostName
    keeperListens: !empty(keeper.apiClientId)
    alerts: identities.outputs.all.alerts
    emails: people.alertEmails
    vnetId: virtualNetwork.outputs.vnetId
    flowLogs: keeper.logs.?flowLogs
    flowAccount: names.accounts.flows
  }
  dependsOn: [compute, storage]
}

module protection 'modules/protection/protection.bicep' = {
  name: 'protection'
  scope: resourceGroup(groups.storage)
  params: {
    house: house
    backup: state.backup
    serverNames: map(serverPeers, peer => peer.name)
    computeGroup: groups.compute
    cacheAccount: names.accounts.cache
  }
  dependsOn: [compute, storage]
}

module subscriptions 'modules/functions/subscriptions.bicep' = if (keeper.eventSubscriptions) {
  name: 'event-subscriptions'
  scope: resourceGroup(groups.security)
  params: {
    cluster: house.cluster
    location: house.location
    tags: house.tags
    vaultNames: concat([names.vaults.servers, names.vaults.clients], parts.consul ? [names.vaults.consul] : [])
    computeGroup: groups.compute
    windowNames: names.windows
    functionId: resourceId(groups.compute, 'Microsoft.Web/sites/functions', names.app, 'events')
    stateAccountId: resourceId(groups.storage, 'Microsoft.Storage/storageAccounts', names.accounts.state)
    events: identities.outputs.all.events
    workspaceId: house.workspaceId
  }
  dependsOn: [functionApp, security, compute]
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Address of the Nomad API, inside the network.')
output nomadAddress string = 'https://${apiAddress}:${ports.nomadHttp}'

@description('Resource id of the network.')
output networkId string = virtualNetwork.outputs.vnetId
