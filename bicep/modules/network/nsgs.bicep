metadata name = 'Network security groups'
metadata description = 'One group for each subnet. What is not listed is denied; every rule says why it is there.'

import { House, Subnets } from '../../types.bicep'
import { ports } from '../../ports.bicep'
import { consulServerRules, gatewayRule, nomadServerRules, rule, vaultRules } from 'rules.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Prefix of every subnet.')
param subnets Subnets

@description('Required. Ports that workloads on clients listen on, besides the dynamic range.')
param applicationPorts string[]

@description('Required. Where people sit: their address prefixes. Empty: nobody comes in.')
param operatorSources string[]

@description('Required. How people reach the machines.')
param access 'Bastion' | 'JumpBox'

@description('Required. Whether Consul runs on machines of its own in the data subnet, on the servers, or not at all.')
param consul 'CoLocated' | 'Dedicated' | 'Off'

@description('Required. Whether HashiCorp Vault runs on the servers.')
param vault bool

@description('Required. Whether clients mount Azure Files.')
param files bool

@description('Required. Address prefixes of people and systems that Application Gateway serves; null when there is none.')
param gatewaySources string[]?

@description('Required. Port that Application Gateway calls on clients; null when there is none.')
param gatewayPort int?

@description('Required. Address prefixes of the servers of federated regions.')
param federatedServers string[]

/*** WHO TALKS TO WHOM ***/
var serverPorts = [string(ports.nomadHttp), string(ports.nomadRpc)]
var dynamicPorts = '${ports.dynamicFirst}-${ports.dynamicLast}'
var machines = consul == 'Dedicated'
  ? [subnets.servers, subnets.clients, subnets.data]
  : [subnets.servers, subnets.clients]
var consulAgentPorts = [string(ports.consulSerfLan)]

var metrics = rule(
  'AllowNodeMetrics',
  'Tcp',
  [subnets.clients],
  [string(ports.metrics)],
  'Prometheus runs on a client and scrapes every machine.'
)

var ssh = rule(
  'AllowSsh',
  'Tcp',
  access == 'Bastion' ? [subnets.bastion] : [subnets.management],
  ['22'],
  'People come in by ${access} and no other way.'
)

var consulHome = consul == 'Dedicated' ? subnets.data : subnets.servers
var consulServers = consulServerRules(subnets, machines, concat([consulHome], federatedServers))
var clientRules = concat(
  [
    rule(
      'AllowNomad',
      'Tcp',
      [subnets.servers, subnets.clients, subnets.management],
      serverPorts,
      'Servers reach the client agent for logs, exec and file access.'
    )
    rule(
      'AllowNomadGossip',
      '*',
      [subnets.servers, subnets.clients],
      [string(ports.nomadSerf)],
      'Kept equal to the servers, so that a machine may change its role.'
    )
    rule(
      'AllowDynamicPorts',
      '*',
      concat([subnets.servers, subnets.clients], gatewaySources == null ? [] : [subnets.gateway]),
      [dynamicPorts],
      'Nomad gives workloads these ports.'
    )
    metrics
  ],
  empty(applicationPorts)
    ? []
    : [
        rule(
          'AllowApplications',
          'Tcp',
          concat([subnets.servers, subnets.clients], gatewaySources == null ? [] : [subnets.gateway]),
          applicationPorts,
          'Ports of workloads, from parameter applicationPorts.'
        )
      ],
  gatewayPort == null ? [] : [gatewayRule(subnets, gatewayPort!)],
  consul == 'Off'
    ? []
    : [
        rule(
          'AllowConsulGossip',
          '*',
          machines,
          consulAgentPorts,
          'Consul agents gossip with each other, over TCP and UDP.'
        )
      ],
  [ssh]
)

var dataRules = concat(
  [
    rule(
      'AllowPrivateEndpoints',
      'Tcp',
      concat(
        [subnets.servers, subnets.clients, subnets.data, subnets.management, subnets.functions],
        gatewaySources == null ? [] : [subnets.gateway] // it fetches its certificate
      ),
      ['443'],
      'Key Vault and storage answer here, by private endpoint.'
    )
  ],
  files ? [rule('AllowNfs', 'Tcp', [subnets.clients], ['2049'], 'Clients mount Azure Files over NFS.')] : [],
  consul == 'Dedicated' ? concat(consulServers, [metrics], [ssh]) : []
)

var managementRules = access == 'Bastion'
  ? [
      rule('AllowSsh', 'Tcp', [subnets.bastion], ['22'], 'People come in by Bastion and no other way.')
      rule('AllowHttps', 'Tcp', [subnets.bastion], ['443'], 'Consoles of machines in this subnet, through Bastion.')
    ]
  : [
      rule(
        'AllowSsh',
        'Tcp',
        operatorSources,
        ['22'],
        'People come to the jump box from where they sit (parameter operatorSources).'
      )
      rule('AllowHttps', 'Tcp', operatorSources, ['443'], 'Consoles on the jump box, from where people sit.')
    ]

// Azure asks for these on the Bastion subnet: https://learn.microsoft.com/azure/bastion/bastion-nsg
// Its table says Internet for people, and may be narrowed to their addresses; without any, nobody comes in.
var bastionRules = [
  rule(
    'AllowOperatorHttps',
    'Tcp',
    operatorSources,
    ['443'],
    'People sign in to Bastion over HTTPS with Entra ID, from where they sit (parameter operatorSources).'
  )
  rule('AllowGatewayManager', 'Tcp', ['GatewayManager'], ['443'], 'Azure steers Bastion.')
  rule('AllowBastionHosts', '*', ['VirtualNetwork'], ['8080', '5701'], 'The hosts of Bastion talk to each other.')
]

var gatewayRules = [
  rule(
    'AllowUsers',
    'Tcp',
    gatewaySources ?? [],
    ['443'],
    'Users of the workloads (parameter applicationGateway.sources).'
  )
  rule(
    'AllowGatewayManager',
    'Tcp',
    ['GatewayManager'],
    ['65200-65535'],
    'Azure steers Application Gateway v2 over these ports.'
  )
]

// Functions only calls out: nothing may call in.
var groups = {
  management: managementRules
  servers: concat(
    nomadServerRules(subnets, federatedServers),
    consul == 'CoLocated'
      ? consulServers
      : consul == 'Dedicated'
          ? [
              rule(
                'AllowConsulGossip',
                '*',
                machines,
                consulAgentPorts,
                'Consul agents gossip with each other, over TCP and UDP.'
              )
            ]
          : [],
    vault ? vaultRules(subnets) : [],
    [ssh]
  )
  clients: clientRules
  data: dataRules
  functions: []
  bastion: bastionRules
  gateway: gatewayRules
}

var wanted = filter(
  items(groups),
  group => (group.key != 'bastion' || access == 'Bastion') && (group.key != 'gateway' || gatewaySources != null)
)

/*** RESOURCES ***/
resource nsgs 'Microsoft.Network/networkSecurityGroups@2025-05-01' = [
  for group in wanted: {
    name: 'nsg-${house.cluster}-${group.key}'
    location: house.location
    tags: house.tags
    properties: {
      securityRules: concat(
        map(filter(group.value, rule => !empty(rule.sources)), (rule, index) => {
          name: rule.name
          properties: union(
            {
              description: rule.why
              access: 'Allow'
              direction: 'Inbound'
              priority: 1000 + 10 * index
              protocol: rule.protocol
              sourcePortRange: '*'
              destinationAddressPrefix: group.key == 'bastion' || group.key == 'gateway' ? '*' : subnets[group.key]
              destinationPortRanges: rule.ports
            },
            // A service tag must stand alone; address prefixes may come as a list.
            contains(rule.sources[0], '.')
              ? { sourceAddressPrefixes: rule.sources }
              : { sourceAddressPrefix: rule.sources[0] }
          )
        }),
        [
          {
            name: 'AllowAzureLoadBalancer'
            properties: {
              description: 'Health probes of Azure load balancers.'
              access: 'Allow'
              direction: 'Inbound'
              priority: 4000
              protocol: '*'
              sourceAddressPrefix: 'AzureLoadBalancer'
              sourcePortRange: '*'
              destinationAddressPrefix: '*'
              destinationPortRange: '*'
            }
          }
          {
            name: 'DenyEverythingElse'
            properties: {
              description: 'Azure lets a virtual network talk to itself by default; here only what is listed may.'
              access: 'Deny'
              direction: 'Inbound'
              priority: 4096
              protocol: '*'
              sourceAddressPrefix: '*'
              sourcePortRange: '*'
              destinationAddressPrefix: '*'
              destinationPortRange: '*'
            }
          }
        ]
      )
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  for (group, index) in wanted: {
    name: 'to-workspace'
    scope: nsgs[index]
    properties: {
      workspaceId: house.workspaceId
      logs: [{ categoryGroup: 'allLogs', enabled: true }]
    }
  }
]

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the group of each subnet.')
output ids object = toObject(
  wanted,
  group => group.key,
  group => resourceId('Microsoft.Network/networkSecurityGroups', 'nsg-${house.cluster}-${group.key}')
)
