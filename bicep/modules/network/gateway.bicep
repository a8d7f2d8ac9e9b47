metadata name = 'Application Gateway'
metadata description = 'The way in for users of the workloads: HTTPS with a web application firewall that prevents, not only detects.'

import { Gateway, House, Identity } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. What to serve, to whom.')
param gateway Gateway

@description('Required. Resource id of its subnet.')
param subnetId string

@description('Required. Identity that reads the certificate, by resource id.')
param identityId string

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

@description('Required. Identity of the keeper.')
param keeper Identity

@description('Required. Name (a GUID) of the keeper\'s role to let instances join.')
param joinRole string

/*** VARIABLES ***/
var name = 'agw-${house.cluster}'

/*** RESOURCES ***/
resource publicIp 'Microsoft.Network/publicIPAddresses@2025-01-01' = {
  name: 'pip-${house.cluster}-gateway'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  zones: empty(zones) ? null : zones
  properties: { publicIPAllocationMethod: 'Static' }
}

resource wall 'Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies@2025-05-01' = {
  name: 'waf-${house.cluster}'
  location: house.location
  tags: house.tags
  properties: {
    policySettings: {
      state: 'Enabled'
      mode: 'Prevention'
      requestBodyCheck: true
      maxRequestBodySizeInKb: 128
      fileUploadLimitInMb: 100
    }
    managedRules: {
      managedRuleSets: [
        { ruleSetType: 'OWASP', ruleSetVersion: '3.2' }
        { ruleSetType: 'Microsoft_BotManagerRuleSet', ruleSetVersion: '1.0' }
      ]
    }
  }
}

resource applicationGateway 'Microsoft.Network/applicationGateways@2025-05-01' = {
  name: name
  location: house.location
  tags: house.tags
  zones: empty(zones) ? null : zones
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    sku: { name: 'WAF_v2', tier: 'WAF_v2' }
    autoscaleConfiguration: { minCapacity: 1, maxCapacity: 10 }
    firewallPolicy: { id: wall.id }
    enableHttp2: true
    sslPolicy: { policyType: 'Predefined', policyName: 'AppGwSslPolicy20220101S' }
    gatewayIPConfigurations: [{ name: 'in', properties: { subnet: { id: subnetId } } }]
    frontendIPConfigurations: [{ name: 'public', properties: { publicIPAddress: { id: publicIp.id } } }]
    frontendPorts: [{ name: 'https', properties: { port: 443 } }]
    sslCertificates: [{ name: 'workloads', properties: { keyVaultSecretId: gateway.certificateSecretId } }]
    backendAddressPools: [{ name: 'clients' }]
    probes: [
      {
        name: 'workloads'
        properties: {
          protocol: 'Http'
          port: gateway.backendPort
          path: gateway.?probePath ?? '/'
          host: gateway.hostName
          interval: 10
          timeout: 5
          unhealthyThreshold: 3
        }
      }
    ]
    backendHttpSettingsCollection: [
      {
        name: 'workloads'
        properties: {
          protocol: 'Http'
          port: gateway.backendPort
          requestTimeout: 60
          connectionDraining: { enabled: true, drainTimeoutInSec: 60 }
          probe: { id: resourceId('Microsoft.Network/applicationGateways/probes', name, 'workloads') }
        }
      }
    ]
    httpListeners: [
      {
        name: 'https'
        properties: {
          protocol: 'Https'
          hostName: gateway.hostName
          frontendIPConfiguration: {
            id: resourceId('Microsoft.Network/applicationGateways/frontendIPConfigurations', name, 'public')
          }
          frontendPort: { id: resourceId('Microsoft.Network/applicationGateways/frontendPorts', name, 'https') }
          sslCertificate: { id: resourceId('Microsoft.Network/applicationGateways/sslCertificates', name, 'workloads') }
        }
      }
    ]
    requestRoutingRules: [
      {
        name: 'workloads'
        properties: {
          ruleType: 'Basic'
          priority: 100
          httpListener: { id: resourceId('Microsoft.Network/applicationGateways/httpListeners', name, 'https') }
          backendAddressPool: {
            id: resourceId('Microsoft.Network/applicationGateways/backendAddressPools', name, 'clients')
          }
          backendHttpSettings: {
            id: resourceId('Microsoft.Network/applicationGateways/backendHttpSettingsCollection', name, 'workloads')
          }
        }
      }
    ]
  }
}

resource joins 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(applicationGateway.id, 'keeper', joinRole)
  scope: applicationGateway
  properties: {
    principalId: keeper.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', joinRole)
    description: 'When a pool grows, Azure checks that the keeper may put instances behind this gateway.'
  }
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
  scope: applicationGateway
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the pool that clients join.')
output poolId string = resourceId(
  'Microsoft.Network/applicationGateways/backendAddressPools',
  applicationGateway.name,
  'clients'
)
