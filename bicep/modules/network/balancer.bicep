metadata name = 'Load balancer of the servers'
metadata description = 'One private address for the Nomad API; a server that has no leader is taken out.'

import { House } from '../../types.bicep'
import { ports } from '../../ports.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Resource id of the subnet of the servers.')
param subnetId string

@description('Required. Private address of the API.')
param address string

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

/*** RESOURCES ***/
resource balancer 'Microsoft.Network/loadBalancers@2024-10-01' = {
  name: 'lbi-${house.cluster}'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  properties: {
    frontendIPConfigurations: [
      {
        name: 'api'
        zones: empty(zones) ? null : zones
        properties: { subnet: { id: subnetId }, privateIPAllocationMethod: 'Static', privateIPAddress: address }
      }
    ]
    backendAddressPools: [{ name: 'servers' }]
    probes: [
      {
        name: 'nomad'
        properties: {
          // Answers 200 only while the server knows a leader; needs no token.
          protocol: 'Https'
          port: ports.nomadHttp
          requestPath: '/v1/agent/health?type=server'
          intervalInSeconds: 5
          probeThreshold: 2
        }
      }
    ]
    loadBalancingRules: [
      {
        name: 'nomad'
        properties: {
          protocol: 'Tcp'
          frontendPort: ports.nomadHttp
          backendPort: ports.nomadHttp
          idleTimeoutInMinutes: 15
          enableTcpReset: true
          disableOutboundSnat: true
          frontendIPConfiguration: {
            id: resourceId('Microsoft.Network/loadBalancers/frontendIPConfigurations', 'lbi-${house.cluster}', 'api')
          }
          backendAddressPool: {
            id: resourceId('Microsoft.Network/loadBalancers/backendAddressPools', 'lbi-${house.cluster}', 'servers')
          }
          probe: { id: resourceId('Microsoft.Network/loadBalancers/probes', 'lbi-${house.cluster}', 'nomad') }
        }
      }
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: balancer
  properties: {
    workspaceId: house.workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the pool that servers join.')
output serverPoolId string = resourceId('Microsoft.Network/loadBalancers/backendAddressPools', balancer.name, 'servers')
