metadata name = 'Azure Firewall'
metadata description = 'The way out for networks that must name every destination.'

import { House, Subnets } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Resource id of AzureFirewallSubnet.')
param subnetId string

@description('Required. Prefix of every subnet: the machines behind the firewall.')
param subnets Subnets

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

@description('Required. Hosts of a mirror of releases, besides those of the makers.')
param releaseHosts string[]

@description('Required. Whether Site Recovery copies the disks of the servers to a second region.')
param recovery bool

/*** VARIABLES ***/
var machines = [subnets.management, subnets.servers, subnets.clients, subnets.data, subnets.functions]

/*** RESOURCES ***/
resource publicIp 'Microsoft.Network/publicIPAddresses@2025-01-01' = {
  name: 'pip-${house.cluster}-firewall'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  zones: empty(zones) ? null : zones
  properties: { publicIPAllocationMethod: 'Static' }
}

resource policy 'Microsoft.Network/firewallPolicies@2024-10-01' = {
  name: 'afwp-${house.cluster}'
  location: house.location
  tags: house.tags
  properties: {
    sku: { tier: 'Standard' }
    threatIntelMode: 'Deny'
    dnsSettings: { enableProxy: true }
  }
}

resource rules 'Microsoft.Network/firewallPolicies/ruleCollectionGroups@2024-10-01' = {
  parent: policy
  name: 'machines'
  properties: {
    priority: 200
    ruleCollections: [
      {
        name: 'what-machines-need'
        ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
        priority: 100
        action: { type: 'Allow' }
        rules: [
          {
            ruleType: 'ApplicationRule'
            name: 'releases-and-updates'
            description: 'Signed releases of Nomad, Consul, Vault, CNI and Docker, the updates of Ubuntu, and Entra ID login.'
            sourceAddresses: machines
            protocols: [{ protocolType: 'Https', port: 443 }, { protocolType: 'Http', port: 80 }]
            targetFqdns: union(
              [
                'releases.hashicorp.com'
                'github.com'
                'release-assets.githubusercontent.com'
                'download.docker.com'
                '*.docker.io'
                '*.docker.com'
                'docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com' // layers, for whoever does not sign in
                '*.ubuntu.com'
                'packages.microsoft.com'
                'pas.windows.net'
              ],
              releaseHosts
            )
          }
        ]
      }
      {
        name: 'what-azure-needs'
        ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
        priority: 110
        action: { type: 'Allow' }
        rules: [
          {
            ruleType: 'NetworkRule'
            name: 'azure-services'
            description: 'Sign-in, management, metrics and logs of Azure itself.'
            sourceAddresses: machines
            ipProtocols: ['TCP']
            destinationAddresses: concat(
              ['AzureActiveDirectory', 'AzureResourceManager', 'AzureMonitor', 'Storage'],
              recovery ? ['AzureSiteRecovery', 'EventHub', 'GuestAndHybridManagement'] : []
            )
            destinationPorts: ['443']
          }
          {
            ruleType: 'NetworkRule'
            name: 'time'
            description: 'Clocks that agree are what Raft and certificates stand on.'
            sourceAddresses: machines
            ipProtocols: ['UDP']
            destinationAddresses: ['*']
            destinationPorts: ['123']
          }
        ]
      }
    ]
  }
}

resource firewall 'Microsoft.Network/azureFirewalls@2025-05-01' = {
  name: 'afw-${house.cluster}'
  location: house.location
  tags: house.tags
  zones: empty(zones) ? null : zones
  properties: {
    sku: { name: 'AZFW_VNet', tier: 'Standard' }
    firewallPolicy: { id: policy.id }
    threatIntelMode: 'Deny'
    ipConfigurations: [
      { name: 'out', properties: { subnet: { id: subnetId }, publicIPAddress: { id: publicIp.id } } }
    ]
  }
  dependsOn: [rules]
}

resource addressDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
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
  scope: firewall
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
