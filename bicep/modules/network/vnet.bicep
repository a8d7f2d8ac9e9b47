metadata name = 'Virtual network'
metadata description = 'The address space, its subnets with their guards, and the only way out.'

import { House, Identity, Subnets } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Address space of the network.')
param addressPrefix string

@description('Required. Prefix of every subnet.')
param subnets Subnets

@description('Required. Resource id of the network security group of each subnet.')
param nsgIds object

@description('Required. The way out: a NAT gateway, or a firewall that a route leads to.')
param egress 'NatGateway' | 'AzureFirewall'

@description('Required. How people reach the machines.')
param access 'Bastion' | 'JumpBox'

@description('Required. Whether Application Gateway gets a subnet.')
param gateway bool

@description('Required. Networks of other regions to peer with, by resource id.')
param peers string[]

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

@description('Required. Identity of the keeper.')
param keeper Identity

@description('Required. Name (a GUID) of the keeper\'s role to let instances join a subnet.')
param joinRole string

/*** VARIABLES ***/
var machines = ['management', 'servers', 'clients', 'data', 'functions']
var firewallAddress = cidrHost(subnets.firewall, 3) // Azure takes the first four addresses; its firewall is given the next one

var wanted = concat(
  machines,
  access == 'Bastion' ? ['bastion'] : [],
  gateway ? ['gateway'] : [],
  egress == 'AzureFirewall' ? ['firewall'] : []
)

// Azure fixes the names of the subnets of its own services.
var azureNames = { bastion: 'AzureBastionSubnet', firewall: 'AzureFirewallSubnet' }

/*** RESOURCES ***/
resource publicIp 'Microsoft.Network/publicIPAddresses@2025-01-01' = if (egress == 'NatGateway') {
  name: 'pip-${house.cluster}-nat'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  zones: empty(zones) ? null : zones
  properties: { publicIPAllocationMethod: 'Static', idleTimeoutInMinutes: 4 }
}

resource nat 'Microsoft.Network/natGateways@2025-05-01' = if (egress == 'NatGateway') {
  name: 'ng-${house.cluster}'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: publicIp.id }], idleTimeoutInMinutes: 4 }
}

resource routes 'Microsoft.Network/routeTables@2024-07-01' = if (egress == 'AzureFirewall') {
  name: 'rt-${house.cluster}'
  location: house.location
  tags: house.tags
  properties: {
    disableBgpRoutePropagation: true
    routes: [
      {
        name: 'everything-through-the-firewall'
        properties: { addressPrefix: '0.0.0.0/0', nextHopType: 'VirtualAppliance', nextHopIpAddress: firewallAddress }
      }
    ]
  }
}

resource vnet 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${house.cluster}'
  location: house.location
  tags: house.tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      for subnet in wanted: {
        name: azureNames[?subnet] ?? subnet
        properties: {
          addressPrefix: subnets[subnet]
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Enabled'
          networkSecurityGroup: subnet == 'firewall' ? null : { id: nsgIds[subnet] }
          natGateway: contains(machines, subnet) && egress == 'NatGateway' ? { id: nat.id } : null
          routeTable: contains(machines, subnet) && egress == 'AzureFirewall' ? { id: routes.id } : null
          delegations: subnet == 'functions'
            ? [{ name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }]
            : []
        }
      }
    ]
  }
}

resource peerings 'Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2025-05-01' = [
  for peer in peers: {
    parent: vnet
    name: 'to-${last(split(peer, '/'))}'
    properties: {
      #disable-next-line use-resource-id-functions // the id of a network of another deployment, as the caller gives it
      remoteVirtualNetwork: { id: peer }
      allowVirtualNetworkAccess: true
      allowForwardedTraffic: false
      allowGatewayTransit: false
      useRemoteGateways: false
    }
  }
]

resource clients 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: vnet
  name: 'clients'
}

resource joins 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(clients.id, 'keeper', joinRole)
  scope: clients
  properties: {
    principalId: keeper.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', joinRole)
    description: 'When a pool grows, Azure checks that the keeper may put instances into this subnet, and no other.'
  }
}

resource keep 'Microsoft.Authorization/locks@2020-05-01' = if (house.lock != 'None') {
  name: 'keep'
  scope: vnet
  properties: { level: house.lock, notes: 'Every machine of the cluster stands in this network.' }
}

resource addressDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (egress == 'NatGateway') {
  name: 'to-workspace'
  scope: publicIp
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vnet
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the network.')
output id string = vnet.id

@description('Resource id of each subnet, by the name used here.')
output subnetIds object = toObject(
  wanted,
  subnet => subnet,
  subnet => resourceId('Microsoft.Network/virtualNetworks/subnets', vnet.name, azureNames[?subnet] ?? subnet)
)
