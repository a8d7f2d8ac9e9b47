metadata name = 'Network'
metadata description = 'Everything in the network resource group: subnets and their guards, ways in and out, names, and the balancer of the servers.'

import { Gateway, House, Identity, Subnets } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Address space of the network.')
param addressPrefix string

@description('Required. Prefix of every subnet.')
param subnets Subnets

@description('Required. The way out.')
param egress 'NatGateway' | 'AzureFirewall'

@description('Required. Hosts of a mirror of releases, which a firewall must let machines reach.')
param releaseHosts string[]

@description('Required. How people reach the machines.')
param access 'Bastion' | 'JumpBox'

@description('Required. Where people sit.')
param operatorSources string[]

@description('Required. Ports of workloads.')
param applicationPorts string[]

@description('Required. Where Consul runs.')
param consul 'CoLocated' | 'Dedicated' | 'Off'

@description('Required. Whether HashiCorp Vault runs on the servers.')
param vault bool

@description('Required. Whether clients mount Azure Files.')
param files bool

@description('Required. Application Gateway; null for none.')
param gateway Gateway?

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

@description('Required. Networks to peer with, by resource id.')
param peers string[]

@description('Required. Address prefixes of servers of other regions.')
param federatedServers string[]

@description('Required. Private DNS zone of the cluster.')
param domain string

@description('Required. Names in that zone.')
param records { name: string, addresses: string[] }[]

@description('Required. Zones of private endpoints, by kind of service.')
param endpointZones object

@description('Required. Private address of the Nomad API.')
param apiAddress string

@description('Required. Identity of the keeper.')
param keeper Identity

@description('Required. Name (a GUID) of the keeper\'s role to let instances join a subnet.')
param joinRole string

@description('Required. Identity that reads the certificate of Application Gateway; empty for none.')
param gatewayIdentityId string

/*** RESOURCES ***/
module nsgs 'nsgs.bicep' = {
  name: 'nsgs'
  params: {
    house: house
    subnets: subnets
    applicationPorts: applicationPorts
    operatorSources: operatorSources
    access: access
    consul: consul
    vault: vault
    files: files
    gatewaySources: gateway.?sources
    federatedServers: federatedServers
  }
}

module vnet 'vnet.bicep' = {
  name: 'vnet'
  params: {
    house: house
    addressPrefix: addressPrefix
    subnets: subnets
    nsgIds: nsgs.outputs.ids
    egress: egress
    access: access
    gateway: gateway != null
    peers: peers
    zones: zones
    keeper: keeper
    joinRole: joinRole
  }
}

module firewall 'firewall.bicep' = if (egress == 'AzureFirewall') {
  name: 'firewall'
  params: {
    house: house
    subnetId: vnet.outputs.subnetIds.firewall
    subnets: subnets
    zones: zones
    releaseHosts: releaseHosts
  }
}

module bastion 'bastion.bicep' = if (access == 'Bastion') {
  name: 'bastion'
  params: { house: house, subnetId: vnet.outputs.subnetIds.bastion, zones: zones }
}

module dns 'dns.bicep' = {
  name: 'dns'
  params: { tags: house.tags, zone: domain, records: records, endpointZones: endpointZones, vnetId: vnet.outputs.id }
}

module balancer 'balancer.bicep' = {
  name: 'balancer'
  params: { house: house, subnetId: vnet.outputs.subnetIds.servers, address: apiAddress, zones: zones }
}

module applicationGateway 'gateway.bicep' = if (gateway != null) {
  name: 'gateway'
  params: {
    house: house
    gateway: gateway!
    subnetId: vnet.outputs.subnetIds.?gateway ?? ''
    identityId: gatewayIdentityId
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
output gatewayPoolIds string[] = gateway == null ? [] : [applicationGateway!.outputs.poolId]
