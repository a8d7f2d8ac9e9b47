metadata name = 'Nomad keeper'
metadata description = 'A Nomad cluster that runs itself: network, servers, client pools, secrets, storage, the keeper, monitoring and backup.'

import { ClientPool, Gateway, Releases, Subnets } from 'types.bicep'
import { placementProblems, poolProblems, subnetProblems } from 'checks.bicep'
import { addressesOf, poolsOf, poolsSetting } from 'plan.bicep'
import { ports } from 'ports.bicep'
import { roles } from 'roles.bicep'

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
param federation { networks: string[], servers: string[], authoritativeRegion: string }?

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

@description('Optional. Exact releases that machines run.')
param releases Releases = { nomad: '1.10.5', consul: '1.21.4', vault: '1.20.3' }

@description('Optional. Where Consul runs (CoLocated on the servers, Dedicated machines, Off), and whether its mesh is on.')
param consul { mode: 'CoLocated' | 'Dedicated' | 'Off', mesh: bool } = { mode: 'CoLocated', mesh: false }

@description('Optional. HashiCorp Vault on the servers.')
param vault bool = false

/*** PARAMETERS: state and secrets ***/
@description('Optional. How copies of the state are kept.')
param storageRedundancy
  | 'Standard_GZRS'
  | 'Standard_RAGZRS'
  | 'Standard_GRS'
  | 'Standard_RAGRS'
  | 'Standard_ZRS'
  | 'Standard_LRS' = 'Standard_GZRS'

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

@description('Optional. Days that logs can be searched, and the most that one day may bring in GB (-1: no limit).')
param logs { retentionDays: int, dailyQuotaGb: int } = { retentionDays: 90, dailyQuotaGb: -1 }

/*** VARIABLES ***/
var problems = concat(
  subnetProblems(addressPrefix, subnets),
  poolProblems(clientPools, subnets.clients, objectKeys(shapes)),
  placementProblems(placement, zones, clientPools, serverDisk),
  access == 'JumpBox' && empty(operatorSources)
    ? ['operatorSources must name where people sit when access is JumpBox']
    : [],
  contains(applicationGateway.?sources ?? [], '0.0.0.0/0')
    ? ['applicationGateway.sources must not be open to everybody (0.0.0.0/0)']
    : [],
  consul.mode == 'Off' && consul.mesh ? ['consul.mesh needs Consul: mode must not be Off'] : []
)
var shapes = loadJsonContent('sizes.json')
var name = empty(problems) ? toLower(cluster) : fail(join(problems, '; '))
var token = take(uniqueString(resourceGroup().id, name), 8)
var here = resourceGroup().name
var groups = resourceGroups ?? { network: here, compute: here, storage: here, security: here, monitoring: here }
var allTags = union(tags, { cluster: name, stage: stage })
var zoneList = placement == 'Zones' ? zones ?? ['1', '2', '3'] : []
var domain = '${name}.internal'
var storageDomain = environment().suffixes.storage
var vaultDomain = environment().suffixes.keyvaultDns

var apiAddress = cidrHost(subnets.servers, 3)
var serverAddresses = addressesOf(subnets.servers, 9, serverCount)
var consulAddresses = consul.mode == 'Dedicated' ? addressesOf(subnets.data, 9, 3) : []
var serverPeers = map(
  range(1, serverCount),
  number => { name: '${name}-server-${number}', address: '${name}-server-${number}.${domain}' }
)
var consulPeers = consul.mode == 'Dedicated'
  ? map(range(1, 3), number => { name: '${name}-consul-${number}', address: '${name}-consul-${number}.${domain}' })
  : consul.mode == 'CoLocated' ? serverPeers : []

var vaultNames = {
  keeper: 'kv-${name}-kpr-${token}'
  servers: 'kv-${name}-srv-${token}'
  clients: 'kv-${name}-cli-${token}'
  consul: 'kv-${name}-con-${token}'
}
var accounts = {
  state: 'st${name}state${token}'
  artifacts: 'st${name}arti${token}'
  host: 'st${name}host${token}'
  files: 'st${name}files${token}'
  second: 'st${name}copy${token}'
}
var endpointZones = union(
  {
    vault: 'privatelink.vaultcore.azure.net'
    blob: 'privatelink.blob.${storageDomain}'
    queue: 'privatelink.queue.${storageDomain}'
    table: 'privatelink.table.${storageDomain}'
  },
  files ? { file: 'privatelink.file.${storageDomain}' } : {}
)

var consulModes = { CoLocated: 'colocated', Dedicated: 'dedicated', Off: 'off' }

var queueName = 'keeper'
var containerName = 'keeper'
var appName = 'func-${name}-${token}'
var pools = poolsOf(clientPools, zoneList, nomad.datacenter, shapes)
var house = {
  cluster: name
  location: location
  tags: allTags
  lock: lock
  workspaceId: resourceId(groups.monitoring, 'Microsoft.OperationalInsights/workspaces', 'log-${name}')
}
// Names of the keeper's own roles, known beforehand so that what-if can look into every module.
var keeperRoleNames = {
  machines: guid(subscription().id, groups.security, name, 'machines')
  joins: guid(subscription().id, groups.security, name, 'joins')
  authority: guid(subscription().id, groups.security, name, 'authority')
  publisher: guid(subscription().id, groups.security, name, 'publisher')
}
var parts = {
  consul: consul.mode == 'Dedicated'
  disks: customerKeys != 'Off'
  gateway: applicationGateway != null
  jumpBox: access == 'JumpBox'
  vault: vault
}
var identityNames = concat(
  ['keeper', 'servers', 'clients', 'events'],
  consul.mode == 'Dedicated' ? ['consul'] : [],
  access == 'JumpBox' ? ['jumpbox'] : [],
  customerKeys == 'Off' ? [] : ['disks'],
  applicationGateway == null ? [] : ['gateway'],
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
    names: keeperRoleNames
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
    access: access
    operatorSources: operatorSources
    applicationPorts: applicationPorts
    consul: consul.mode
    vault: vault
    files: files
    gateway: applicationGateway
    gatewayIdentityId: applicationGateway == null ? '' : identities[indexOf(identityNames, 'gateway')].outputs.it.id
    zones: zoneList
    peers: federation.?networks ?? []
    federatedServers: federation.?servers ?? []
    domain: domain
    records: concat(
      [{ name: 'nomad', addresses: [apiAddress] }],
      map(range(0, serverCount), index => { name: serverPeers[index].name, addresses: [serverAddresses[index]] }),
      map(
        range(0, length(consulAddresses)),
        index => { name: consulPeers[index].name, addresses: [consulAddresses[index]] }
      )
    )
    endpointZones: endpointZones
    apiAddress: apiAddress
    keeper: identities[0].outputs.it
    joinRole: keeperRoleNames.joins
  }
  dependsOn: [keeperRoles, workspace]
}

module security 'modules/security/security.bicep' = {
  name: 'security'
  scope: resourceGroup(groups.security)
  params: {
    house: house
    vaultNames: vaultNames
    subnetId: network.outputs.subnetIds.data
    zoneId: network.outputs.endpointZoneIds.vault
    parts: parts
    keeperRoles: keeperRoleNames
    clientsIdentityName: 'id-${name}-clients'
    keeper: identities[0].outputs.it
    servers: identities[1].outputs.it
    clients: identities[2].outputs.it
    consul: consul.mode == 'Dedicated' ? identities[indexOf(identityNames, 'consul')].outputs.it : null
    disks: customerKeys == 'Off' ? null : identities[indexOf(identityNames, 'disks')].outputs.it
    gateway: applicationGateway == null ? null : identities[indexOf(identityNames, 'gateway')].outputs.it
    hardware: customerKeys == 'Hardware'
  }
}

module storage 'modules/storage/storage.bicep' = {
  name: 'storage'
  scope: resourceGroup(groups.storage)
  params: {
    house: house
    names: accounts
    redundancy: storageRedundancy
    retentionDays: retentionDays
    queueName: queueName
    containerName: containerName
    subnetId: network.outputs.subnetIds.data
    zoneIds: network.outputs.endpointZoneIds
    files: files
    copyLocation: copyLocation
    keeper: identities[0].outputs.it
    servers: identities[1].outputs.it
    clients: identities[2].outputs.it
    events: identities[3].outputs.it
    copy: empty(copyLocation) ? null : identities[indexOf(identityNames, 'copy')].outputs.it
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
    diskKeyUri: security.outputs.diskKeyUri
    keeperVaultId: security.outputs.keeperVaultId
    serverCount: serverCount
    serverSku: serverSku
    serverDisk: serverDisk
    zones: zoneList
    serverAddresses: serverAddresses
    consulAddresses: consulAddresses
    jumpBoxAddress: access == 'JumpBox' ? cidrHost(subnets.management, 9) : ''
    subnetIds: network.outputs.subnetIds
    serverPoolId: network.outputs.serverPoolId
    gatewayPoolIds: network.outputs.gatewayPoolIds
    knobs: {
      cluster: name
      region: nomad.region
      datacenter: nomad.datacenter
      servers: serverPeers
      consul: consulModes[consul.mode]
      consulServers: consulPeers
      consulMesh: consul.mesh
      nomadVersion: releases.nomad
      consulVersion: releases.consul
      vaultVersion: releases.vault
      ports: ports
    }
    vaultUrls: mapValues(vaultNames, vaultName => 'https://${vaultName}${vaultDomain}')
    queueUrl: 'https://${accounts.state}.queue.${storageDomain}/${queueName}'
    vaultSeal: vault ? { vaultName: vaultNames.servers, keyName: 'vault-seal', tenantId: tenant().tenantId } : null
    keyringKey: { vaultName: vaultNames.servers, keyName: 'nomad-keyring', tenantId: tenant().tenantId }
    pools: pools
    keeper: identities[0].outputs.it
    keeperRole: keeperRoleNames.machines
    servers: identities[1].outputs.it
    clients: identities[2].outputs.it
    consul: consul.mode == 'Dedicated' ? identities[indexOf(identityNames, 'consul')].outputs.it : null
    jumpBox: access == 'JumpBox' ? identities[indexOf(identityNames, 'jumpbox')].outputs.it : null
    disks: customerKeys == 'Off' ? null : identities[indexOf(identityNames, 'disks')].outputs.it
    adminGroupId: adminGroupId
    adminRole: roles.machineAdministratorLogin
    patchingHour: '02:00'
  }
}

module functionApp 'modules/functions/app.bicep' = {
  name: 'function-app'
  scope: resourceGroup(groups.compute)
  params: {
    house: house
    name: appName
    identity: identities[0].outputs.it
    subnetId: network.outputs.subnetIds.functions
    hostAccount: accounts.host
    storageDomain: storageDomain
    insightsConnection: workspace.outputs.connectionString
    apiClientId: apiClientId
    operatorSources: operatorSources
    packageUrl: packageUrl
    memoryMb: 2048
    maximumInstances: 40
    settings: union(keeperSettings, {
      NOMAD_ADDRESS: 'https://${apiAddress}:${ports.nomadHttp}'
      NOMAD_REGION: nomad.region
      AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
      AZURE_CLIENT_ID: identities[0].outputs.it.clientId
      KEY_VAULT_URL: 'https://${vaultNames.keeper}${vaultDomain}'
      ARM_ENDPOINT: environment().resourceManager
      KEEPER_STORAGE__credential: 'managedidentity'
      KEEPER_STORAGE__clientId: identities[0].outputs.it.clientId
      KEEPER_STORAGE__blobServiceUri: 'https://${accounts.state}.blob.${storageDomain}'
      KEEPER_STORAGE__queueServiceUri: 'https://${accounts.state}.queue.${storageDomain}'
      KEEPER_CONTAINER: containerName
      KEEPER_QUEUE: queueName
      HTTP_REQUIRE_APP_ROLES: 'true'
      POOLS: poolsSetting(pools, name, groups.compute)
    })
  }
  dependsOn: [storage]
}

/*** WHAT THIS DEPLOYMENT PROMISES ***/
@description('Name of the function app: publish the code to it.')
output functionAppName string = appName

@description('Address of the Nomad API, inside the network.')
output nomadAddress string = 'https://${apiAddress}:${ports.nomadHttp}'
