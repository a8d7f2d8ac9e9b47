metadata name = 'Network rules'
metadata description = 'Who may call which listener of a server, and why.'

import { Subnets } from '../../types.bicep'
import { ports } from '../../ports.bicep'

@export()
@description('An allow rule for one reason. The priority follows from its place in the list.')
func rule(name string, protocol 'Tcp' | 'Udp' | '*', sources string[], destinationPorts string[], why string) object => {
  name: name
  protocol: protocol
  sources: sources
  ports: destinationPorts
  why: why
}

@export()
@description('The listeners of a Consul server, wherever it stands.')
func consulServerRules(subnets Subnets, machines string[], peers string[]) object[] => [
  rule('AllowConsulServerRpc', 'Tcp', machines, [string(ports.consulRpc)], 'Consul agents call their servers.')
  rule(
    'AllowConsulGossip',
    '*',
    machines,
    [string(ports.consulSerfLan)],
    'Consul agents gossip with each other, over TCP and UDP.'
  )
  rule('AllowConsulWanGossip', '*', peers, [string(ports.consulSerfWan)], 'Consul servers gossip across regions.')
  rule(
    'AllowConsulApi',
    'Tcp',
    concat(machines, [subnets.management, subnets.functions]),
    [string(ports.consulHttp), string(ports.consulHttps), string(ports.consulGrpc)],
    'Nomad, the keeper and people use the API; the mesh uses gRPC.'
  )
  rule('AllowConsulDns', '*', machines, [string(ports.consulDns)], 'Machines resolve service names.')
]

@export()
@description('The listeners of a Nomad server.')
func nomadServerRules(subnets Subnets, federatedServers string[]) object[] => [
  rule(
    'AllowNomadHttp',
    'Tcp',
    [subnets.servers, subnets.clients, subnets.management, subnets.functions],
    [string(ports.nomadHttp)],
    'The API: agents, people, and the keeper.'
  )
  rule(
    'AllowNomadRpc',
    'Tcp',
    concat([subnets.servers, subnets.clients], federatedServers),
    [string(ports.nomadRpc)],
    'Servers and clients call servers.'
  )
  rule(
    'AllowNomadGossip',
    '*',
    concat([subnets.servers], federatedServers),
    [string(ports.nomadSerf)],
    'Servers gossip with each other, over TCP and UDP.'
  )
  rule(
    'AllowNodeMetrics',
    'Tcp',
    [subnets.clients],
    [string(ports.metrics)],
    'Prometheus runs on a client and scrapes every machine.'
  )
]

@export()
@description('The listeners of HashiCorp Vault on a server.')
func vaultRules(subnets Subnets) object[] => [
  rule(
    'AllowVaultApi',
    'Tcp',
    [subnets.servers, subnets.clients, subnets.management],
    [string(ports.vaultApi)],
    'Nomad and workloads read from HashiCorp Vault.'
  )
  rule(
    'AllowVaultCluster',
    'Tcp',
    [subnets.servers],
    [string(ports.vaultCluster)],
    'HashiCorp Vault servers replicate.'
  )
]

@export()
@description('The router of the workloads, on every client.')
func gatewayRule(subnets Subnets, port int) object =>
  rule(
    'AllowGateway',
    'Tcp',
    [subnets.gateway],
    [string(port)],
    'Application Gateway calls the router of the workloads (parameter applicationGateway.backendPort).'
  )
