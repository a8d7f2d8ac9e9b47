metadata name = 'Network'
metadata description = 'Everything in the network resource group: subnets and their guards, ways in and out, names, and the balancer of the servers.'

import { NetworkChoices } from '../../choices.bicep'
import { House, Identities } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. What was chosen for the network.')
param network NetworkChoices

@description('Required. Hosts of a mirror of releases, which a firewall must let machines reach.')
param releaseHosts string[]

@description('Required. Where people sit.')
param operatorSources string[]

@description('Required. Object id of the Entra group that may log in to machines; empty for none.')
param adminGroupId string

@description('Required. Where Consul runs.')
param consul 'CoLocated' | 'Dedicated' | 'Off'

@description('Required. Whether HashiCorp Vault runs on the servers.')
param vault bool

@description('Required. Whether clients mount Azure Files.')
param files bool

@description('Required. Whether Site Recovery copies the disks of the servers to a second region.')
param recovery bool

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

@description('Required. Private DNS zone of the cluster.')
param domain string

@description('Required. Names in that zone.')
param records { name: string, addresses: string[] }[]

@description('Required. Zones of private endpoints, by kind of service.')
param endpointZones object

@description('Required. Private address of the Nomad API.')
param apiAddress string

@description('Required. Every identity.')
param identities Identities

@description('Required. Name (a GUID) of the keeper\'s role to let instances join a subnet.')
param joinRole string

/*** RESOURCES ***/
module nsgs 'nsgs.bicep' = {
  name: 'nsgs'
  params: {
    house: house
    subnets: network.subnets
    applicationPorts: network.applicationPorts
    operatorSources: operatorSources
    access: network.access
    consul: consul
    vault: vault
    files: files
    gatewaySources: network.?applicationGateway.?sources
    gatewayPort: network.?applicationGateway.?backendPort
    federatedServers: network.?federation.?servers ?? []
  }
}

module vnet 'vnet.bicep' = {
  name: 'vnet'
  params: {
    house: house
    addressPrefix: network.addressPrefix
    subnets: network.subnets
    nsgIds: nsgs.outputs.ids
    egress: network.egress
    access: network.access
    gateway: network.?applicationGateway != null
    peers: network.?federation.?networks ?? []
    zones: zones
    keeper: identities.keeper
    joinRole: joinRole
  }
}

module firewall 'firewall.bicep' = if (network.egress == 'AzureFirewall') {
  name: 'firewall'
  params: {
    house: house
    subnetId: vnet.outputs.subnetIds.firewall
    subnets: network.subnets
    zones: zones
    releaseHosts: releaseHosts
    recovery: recovery
  }
}

module bastion 'bastion.bicep' = if (network.access == 'Bastion') {
  name: 'bastion'
  params: { house: house, subnetId: vnet.outputs.subnetIds.bastion, zones: zones, adminGroupId: adminGroupId }
}

module dns 'dns.bicep' = {
  name: 'dns'
  params: { tags: house.tags, zone: domain, records: records, endpointZones: endpointZones, vnetId: vnet.outputs.id }
}

module balancer 'balancer.bicep' = {
  name: 'balancer'
  params: { house: house, subnetId: vnet.outputs.subnetIds.servers, address: apiAddress, zones: zones }
}

module applicationGateway 'gateway.bicep' = if (network.?applicationGateway != null) {
  name: 'gateway'
  params: {
    house: house
    gateway: network.applicationGateway!
    subnetId: vnet.outputs.subnetIds.?gateway ?? ''
    identityId: identities.gateway!.id
    keeper: identities.keeper
    joinRole: joinRole
    zones: zones
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the network.')
output vnetId string = vnet.outputs.id

@description('Resource id of each subnet.')
output subnetIds object = vnet.outputs.subnetIds

@description('Resource id of the private DNS zone of each kind of service.')
output endpointZoneIds object = dns.outputs.endpointZoneIds

@description('Resource id of the pool that servers join.')
output serverPoolId string = balancer.outputs.serverPoolId

@description('Backend pools of Application Gateway that clients join, by resource id.')
output gatewayPoolIds string[] = network.?applicationGateway == null ? [] : [applicationGateway!.outputs.poolId]
