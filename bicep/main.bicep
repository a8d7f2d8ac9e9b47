metadata name = 'Nomad keeper'
metadata description = 'A Nomad cluster that runs itself: network, servers, client pools, secrets, storage, the keeper, monitoring and backup.'

import { Backup, ClientPool, Federation, Gateway, Logs, Subnets } from 'types.bicep'
import { Releases } from 'machineTypes.bicep'
import { mirrorProblems, placementProblems, poolProblems, subnetProblems } from 'checks.bicep'
import { addressesOf, endpointZonesOf, hostsOf, namesOf, peersOf, poolsOf, poolsSetting, recordsOf } from 'plan.bicep'
import { ports } from 'ports.bicep'

/*** PARAMETERS: who and where ***/
@description('Required. SSH public key of the operators. Passwords are off everywhere.')
param sshPublicKey string

@description('Optional. Object id of the Entra group whose members may log in to machines.')
param adminGroupId string = ''

@description('Optional. Name of the cluster: lower-case letters and digits. Prefixes every resource.')
@minLength(2)
@maxLength(8)
param cluster string = 'nomad'

@description('Optional. Stage of the cluster, as a tag.')
param stage 'dev' | 'staging' | 'production' = 'dev'

@description('Optional. Region of every resource.')
param location string = resourceGroup().location

@description('Optional. Tags of every resource, besides cluster and stage.')
param tags object = {}

@description('Optional. Existing resource groups to deploy to, all five or none; the current one by default.')
param resourceGroups { network: string, compute: string, storage: string, security: string, monitoring: string }?

@description('Optional. Lock on what holds state: network, vaults, state, backups.')
param lock 'None' | 'CanNotDelete' = 'CanNotDelete'

@description('Optional. Name of the administrator account of every machine.')
param adminUsername string = 'operator'

/*** PARAMETERS: network ***/
@description('Optional. Address space of the network.')
param addressPrefix string = '10.0.0.0/16'

@description('Optional. Prefix of every subnet.')
param subnets Subnets = {
  management: '10.0.1.0/24'
  servers: '10.0.10.0/24'
  clients: '10.0.20.0/24'
  data: '10.0.30.0/24'
  bastion: '10.0.2.0/26'
  functions: '10.0.3.0/26'
  firewall: '10.0.4.0/26'
  gateway: '10.0.5.0/24'
}

@description('Optional. The way out: a NAT gateway, or Azure Firewall that names every destination.')
param egress 'NatGateway' | 'AzureFirewall' = 'NatGateway'

@description('Optional. How people reach the machines: Azure Bastion, or a jump box for those who come by VPN or ExpressRoute.')
param access 'Bastion' | 'JumpBox' = 'Bastion'

@description('Optional. Address prefixes of people. Empty: anywhere for Bastion\'s own sign-in page, nowhere for the API. A jump box needs them.')
param operatorSources string[] = []

@description('Optional. Ports that workloads on clients listen on, besides the dynamic range.')
param applicationPorts string[] = []

@description('Optional. Application Gateway with a web application firewall for workloads.')
param applicationGateway Gateway?

@description('Optional. Other regions to federate with: their networks, their servers, and which region owns ACLs.')
param federation Federation?

/*** PARAMETERS: servers and clients ***/
@description('Optional. Nomad region and datacenter.')
param nomad { region: string, datacenter: string } = { region: 'global', datacenter: 'dc1' }

@description('Optional. Number of servers; an even number would survive no more failures.')
@allowed([3, 5])
param serverCount int = 3

@description('Optional. Size of a server.')
param serverSku string = 'Standard_D2s_v5'

@description('Optional. Kind of the 128 GB data disk of a server.')
param serverDisk 'Premium_LRS' | 'PremiumV2_LRS' | 'UltraSSD_LRS' = 'Premium_LRS'

@description('Optional. Availability zones, or an availability set where a region has none.')
param placement 'Zones' | 'AvailabilitySet' = 'Zones'

@description('Optional. Zones to use; 1, 2 and 3 by default with placement Zones.')
param zones ('1' | '2' | '3')[]?

@description('Optional. Release of Ubuntu.')
param ubuntu '22.04' | '24.04' = '22.04'

@description('Optional. The client pools.')
param clientPools ClientPool[] = [{ name: 'general', min: 3, max: 10 }]

@description('Optional. Exact releases that machines run, and where they come from.')
param releases Releases = { nomad: '1.10.5', consul: '1.21.4', vault: '1.20.3' }

@description('Optional. Where Consul runs (CoLocated on the servers, Dedicated machines, Off), and whether its mesh is on.')
param consul { mode: 'CoLocated' | 'Dedicated' | 'Off', mesh: bool } = { mode: 'CoLocated', mesh: false }

@description('Optional. HashiCorp Vault on the servers.')
param vault bool = false

/*** PARAMETERS: state and secrets ***/
@description('Optional. How copies of the state are kept.')
param storageRedundancy 'Standard_GZRS' | 'Standard_RAGZRS' | 'Standard_GRS' | 'Standard_RAGRS' = 'Standard_GZRS'

@description('Optional. Days that a snapshot of each tier, and a line of the audit log, can be neither changed nor deleted.')
param retentionDays { hourly: int, daily: int, weekly: int, monthly: int, audit: int } = {
  hourly: 2
  daily: 14
  weekly: 60
  monthly: 365
  audit: 365
}

@description('Optional. Region of a second copy of snapshots, under another identity; empty for none.')
param copyLocation string = ''

@description('Optional. A share on Azure Files that clients mount.')
param files bool = false

@description('Optional. Keys of ours for managed disks: off, in software, or all keys in a hardware module.')
param customerKeys 'Off' | 'Software' | 'Hardware' = 'Off'

/*** PARAMETERS: the keeper and monitoring ***/
@description('Optional. Client id of the app registration of the API (docs/deploy.md makes it). Empty closes every HTTP door.')
param apiClientId string = ''

@description('Optional. URL of a package to deploy; empty when code is published by a command.')
param packageUrl string = ''

@description('Optional. Settings of the keeper that differ from their defaults, by environment name (docs/settings.md).')
param keeperSettings object = {}

@description('Optional. Logs: days that they can be searched, most of a day in GB (-1: no limit), and flow logs of the network.')
param logs Logs = { retentionDays: 90, dailyQuotaGb: -1 }

@description('Optional. Mail addresses that alerts for people go to.')
param alertEmails string[] = []

@description('Optional. Subscribe the keeper to events. A second step: Azure refuses while the code is not published yet.')
param eventSubscriptions bool = false

@description('Optional. Daily images of the servers, and Site Recovery to a second region.')
param backup Backup = { servers: true }

/*** VARIABLES ***/
var shapes = loadJsonContent('sizes.json')
var problems = concat(
  subnetProblems(addressPrefix, subnets),
  poolProblems(clientPools, subnets.clients, objectKeys(shapes)),
  placementProblems(placement, zones, clientPools, serverDisk),
  mirrorProblems(releases.?mirror),
  access == 'JumpBox' && empty(operatorSources)
    ? ['operatorSources must name where people sit when access is JumpBox']
    : [],
  contains(applicationGateway.?sources ?? [], '0.0.0.0/0')
    ? ['applicationGateway.sources must not be open to everybody (0.0.0.0/0)']
    : [],
  contains(operatorSources, '0.0.0.0/0') ? ['operatorSources must not be open to everybody (0.0.0.0/0)'] : [],
  consul.mode == 'Off' && consul.mesh ? ['consul.mesh needs Consul: mode must not be Off'] : []
)
var name = empty(problems) ? toLower(cluster) : fail(join(problems, '; '))
var names = namesOf(name, take(uniqueString(resourceGroup().id, name), 8), resourceGroup().id)
var here = resourceGroup().name
var groups = resourceGroups ?? { network: here, compute: here, storage: here, security: here, monitoring: here }
var allTags = union(tags, { cluster: name, stage: stage })
var house = {
  cluster: name
  location: location
  tags: allTags
  lock: lock
  workspaceId: resourceId(groups.monitoring, 'Microsoft.OperationalInsights/workspaces', 'log-${name}')
}
var zoneList = placement == 'Zones' ? zones ?? ['1', '2', '3'] : []
var domain = '${name}.internal'
var storageDomain = environment().suffixes.storage
var vaultDomain = environment().suffixes.keyvaultDns

var apiAddress = cidrHost(subnets.servers, 3)
var serverAddresses = addressesOf(subnets.servers, 9, serverCount)
var serverPeers = peersOf(name, 'server', serverCount, domain)
var consulAddresses = consul.mode == 'Dedicated' ? addressesOf(subnets.data, 9, 3) : []
var dedicatedPeers = peersOf(name, 'consul', consul.mode == 'Dedicated' ? 3 : 0, domain)
var consulHomes = consul.mode == 'Dedicated' ? consulAddresses : serverAddresses
var pools = poolsOf(clientPools, zoneList, nomad.datacenter, shapes)
var queueName = 'keeper'
var containerName = 'keeper'

// Triggers read these by name, so they must be set even where the keeper has the same default.
var schedules = {
  AUTOSCALE_SCHEDULE: '*/30 * * * * *'
  SNAPSHOT_SCHEDULE: '0 20 * * * *'
  REHEARSAL_SCHEDULE: '0 50 * * * *'
}

var parts = {
  consul: consul.mode == 'Dedicated'
  disks: customerKeys != 'Off'
  gateway: applicationGateway != null
  jumpBox: access == 'JumpBox'
  vault: vault
}
var identityNames = concat(
  ['keeper', 'servers', 'clients', 'events', 'alerts'],
  parts.consul ? ['consul'] : [],
  parts.jumpBox ? ['jumpbox'] : [],
  parts.disks ? ['disks'] : [],
  parts.gateway ? ['gateway'] : [],
  empty(copyLocation) ? [] : ['copy']
)

/*** RESOURCES ***/
module identities 'modules/security/identity.bicep' = [
  for who in identityNames: {
    name: 'identity-${who}'
    scope: resourceGroup(groups.security)
    params: { name: 'id-${name}-${who}', location: location, tags: allTags }
  }
]

module keeperRoles 'modules/security/keeperRoles.bicep' = {
  name: 'keeper-roles'
  scope: resourceGroup(groups.security)
  params: {
    cluster: name
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
    cluster: name
    location: location
    tags: allTags
    retentionDays: logs.retentionDays
    dailyQuotaGb: logs.dailyQuotaGb
    keeper: identities[0].outputs.it
  }
}

module network 'modules/network/network.bicep' = {
  name: 'network'
  scope: resourceGroup(groups.network)
  params: {
    house: house
    addressPrefix: addressPrefix
    subnets: subnets
    egress: egress
    releaseHosts: hostsOf([releases.?mirror.?url ?? '', releases.?mirror.?cniUrl ?? ''])
    access: access
    operatorSources: operatorSources
    applicationPorts: applicationPorts
    consul: consul.mode
    vault: vault
    files: files
    gateway: applicationGateway
    gatewayIdentityId: parts.gateway ? identities[indexOf(identityNames, 'gateway')].outputs.it.id : ''
    zones: zoneList
    peers: federation.?networks ?? []
    federatedServers: federation.?servers ?? []
    domain: domain
    records: concat(
      [{ name: 'nomad', addresses: [apiAddress] }],
      consul.mode == 'Off' ? [] : [{ name: 'consul', addresses: consulHomes }],
      recordsOf(serverPeers, serverAddresses),
      recordsOf(dedicatedPeers, consulAddresses)
    )
    endpointZones: endpointZonesOf(storageDomain, files)
    apiAddress: apiAddress
    keeper: identities[0].outputs.it
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
    subnetId: network.outputs.subnetIds.data
    zoneId: network.outputs.endpointZoneIds.vault
    keeperRoles: names.roles
    clientsIdentityName: 'id-${name}-clients'
    hardware: customerKeys == 'Hardware'
    keeper: identities[0].outputs.it
    servers: identities[1].outputs.it
    clients: identities[2].outputs.it
    consul: parts.consul ? identities[indexOf(identityNames, 'consul')].outputs.it : null
    disks: parts.disks ? identities[indexOf(identityNames, 'disks')].outputs.it : null
    gateway: parts.gateway ? identities[indexOf(identityNames, 'gateway')].outputs.it : null
  }
}

module storage 'modules/storage/storage.bicep' = {
  name: 'storage'
  scope: resourceGroup(groups.storage)
  params: {
    house: house
    names: names.accounts
    redundancy: storageRedundancy
    retentionDays: retentionDays
    queueName: queueName
    containerName: containerName
    subnetId: network.outputs.subnetIds.data
    zoneIds: network.outputs.endpointZoneIds
    files: files
    copyLocation: copyLocation
    flows: logs.?flowLogs != null
    recovery: backup.?recovery != null
    keeper: identities[0].outputs.it
    servers: identities[1].outputs.it
    clients: identities[2].outputs.it
    events: identities[3].outputs.it
    copier: empty(copyLocation) ? null : identities[indexOf(identityNames, 'copy')].outputs.it
  }
}

module compute 'modules/compute/compute.bicep' = {
  name: 'compute'
  scope: resourceGroup(groups.compute)
  params: {
    house: house
    parts: parts
    machines: {
      adminUsername: adminUsername
      sshPublicKey: sshPublicKey
      ubuntu: ubuntu
      collectionRuleId: workspace.outputs.collectionRuleId
    }
    serverCount: serverCount
    serverSku: serverSku
    serverDisk: serverDisk
    zones: zoneList
    serverAddresses: serverAddresses
    consulAddresses: consulAddresses
    jumpBoxAddress: parts.jumpBox ? cidrHost(subnets.management, 9) : ''
    subnetIds: network.outputs.subnetIds
    serverPoolId: network.outputs.serverPoolId
    gatewayPoolIds: network.outputs.gatewayPoolIds
    pools: pools
    knobs: {
      cluster: name
      region: nomad.region
      datacenter: nomad.datacenter
      servers: serverPeers
      consul: { CoLocated: 'colocated', Dedicated: 'dedicated', Off: 'off' }[consul.mode]
      consulServers: parts.consul ? dedicatedPeers : consul.mode == 'CoLocated' ? serverPeers : []
      consulDatacenter: nomad.datacenter
      consulMesh: consul.mesh
      nomadVersion: releases.nomad
      consulVersion: releases.consul
      vaultVersion: releases.vault
      releasesUrl: releases.?mirror.?url
      releaseKey: releases.?mirror.?signer.?key
      releaseFingerprint: releases.?mirror.?signer.?fingerprint
      cniUrl: releases.?mirror.?cniUrl
      cni: releases.?mirror.?cni
      ports: ports
    }
    vaultUrls: mapValues(names.vaults, vaultName => 'https://${vaultName}${vaultDomain}')
    queueUrl: 'https://${names.accounts.state}.queue.${storageDomain}/${queueName}'
    serversVault: { vaultName: names.vaults.servers, tenantId: tenant().tenantId }
    diskKeyUri: security.outputs.diskKeyUri
    keeperVaultId: security.outputs.keeperVaultId
    keeperRole: names.roles.machines
    keeper: identities[0].outputs.it
    servers: identities[1].outputs.it
    clients: identities[2].outputs.it
    consul: parts.consul ? identities[indexOf(identityNames, 'consul')].outputs.it : null
    jumpBox: parts.jumpBox ? identities[indexOf(identityNames, 'jumpbox')].outputs.it : null
    disks: parts.disks ? identities[indexOf(identityNames, 'disks')].outputs.it : null
    adminGroupId: adminGroupId
  }
}

module functionApp 'modules/functions/app.bicep' = {
  name: 'function-app'
  scope: resourceGroup(groups.compute)
  params: {
    house: house
    name: names.app
    identity: identities[0].outputs.it
    subnetId: network.outputs.subnetIds.functions
    hostAccount: names.accounts.host
    storageDomain: storageDomain
    insightsConnection: workspace.outputs.connectionString
    apiClientId: apiClientId
    operatorSources: operatorSources
    packageUrl: packageUrl
    zoneRedundant: !empty(zoneList)
    copier: empty(copyLocation) ? null : identities[indexOf(identityNames, 'copy')].outputs.it
    copies: !empty(copyLocation)
    settings: union(schedules, keeperSettings, {
      POOLS: poolsSetting(pools, name, groups.compute)
      NOMAD_ADDRESS: 'https://${apiAddress}:${ports.nomadHttp}'
      NOMAD_REGION: nomad.region
      AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
      AZURE_CLIENT_ID: identities[0].outputs.it.clientId
      ARM_ENDPOINT: environment().resourceManager
      KEY_VAULT_URL: 'https://${names.vaults.keeper}${vaultDomain}'
      KEEPER_STORAGE__credential: 'managedidentity'
      KEEPER_STORAGE__clientId: identities[0].outputs.it.clientId
      KEEPER_STORAGE__blobServiceUri: 'https://${names.accounts.state}.blob.${storageDomain}'
      KEEPER_STORAGE__queueServiceUri: 'https://${names.accounts.state}.queue.${storageDomain}'
      KEEPER_CONTAINER: containerName
      KEEPER_QUEUE: queueName
      HTTP_REQUIRE_APP_ROLES: 'true'
      SNAPSHOT_CLUSTER: name
      SNAPSHOT_KEY: 'nomad-snapshots'
      SNAPSHOT_COPY_BLOB_URL: empty(copyLocation) ? '' : 'https://${names.accounts.second}.blob.${storageDomain}'
      SNAPSHOT_COPY_CLIENT_ID: empty(copyLocation) ? '' : identities[indexOf(identityNames, 'copy')].outputs.it.clientId
      CONSUL_ADDRESS: consul.mode == 'Off' ? '' : 'https://consul.${domain}:${ports.consulHttps}'
      CONSUL_TLS_NAME: 'server.${nomad.datacenter}.consul'
    })
  }
  dependsOn: [storage]
}

module monitoring 'modules/monitoring/monitoring.bicep' = {
  name: 'monitoring'
  scope: resourceGroup(groups.monitoring)
  params: {
    house: house
    pools: [for pool in pools: { name: pool.name, scaleSet: 'vmss-${name}-${pool.name}' }]
    computeGroup: groups.compute
    networkGroup: groups.network
    storageGroup: groups.storage
    functionAppId: functionApp.outputs.id
    functionAppHost: functionApp.outputs.hostName
    keeperListens: !empty(apiClientId)
    alerts: identities[4].outputs.it
    emails: alertEmails
    vnetId: network.outputs.vnetId
    flowLogs: logs.?flowLogs
    flowAccount: names.accounts.flows
  }
  dependsOn: [compute, storage]
}

module protection 'modules/protection/protection.bicep' = {
  name: 'protection'
  scope: resourceGroup(groups.storage)
  params: {
    house: house
    backup: backup
    serverNames: map(serverPeers, peer => peer.name)
    computeGroup: groups.compute
    cacheAccount: names.accounts.cache
  }
  dependsOn: [compute, storage]
}

module subscriptions 'modules/functions/subscriptions.bicep' = if (eventSubscriptions) {
  name: 'event-subscriptions'
  scope: resourceGroup(groups.security)
  params: {
    cluster: name
    location: location
    tags: allTags
    vaultNames: map(['servers', 'clients'], audience => string(names.vaults[audience]))
    computeGroup: groups.compute
    functionId: resourceId(groups.compute, 'Microsoft.Web/sites/functions', names.app, 'events')
    stateAccountId: resourceId(groups.storage, 'Microsoft.Storage/storageAccounts', names.accounts.state)
    events: identities[3].outputs.it
  }
  dependsOn: [functionApp, security]
}

/*** WHAT THIS DEPLOYMENT PROMISES ***/
@description('Name of the function app: publish the code to it.')
output functionAppName string = names.app

@description('Address of the Nomad API, inside the network.')
output nomadAddress string = 'https://${apiAddress}:${ports.nomadHttp}'

@description('Name of each vault, by audience.')
output vaultNames object = names.vaults

@description('Resource id of the network: another region peers with it.')
output networkId string = network.outputs.vnetId
