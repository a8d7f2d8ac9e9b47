metadata name = 'Function app'
metadata description = 'The keeper: Flex Consumption, inside the network, with one identity and no key.'

import { House, Identity } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name of the app; part of its public host name.')
param name string

@description('Required. Identity of the keeper.')
param identity { id: string, clientId: string }

@description('Required. Whether copies of snapshots are written, under an identity of their own.')
param copies bool

@description('Required. Identity that writes copies of snapshots; null for none.')
param copier Identity?

@description('Required. Subnet delegated to Microsoft.App/environments, by resource id.')
param subnetId string

@description('Required. Name of the storage account of the functions host.')
param hostAccount string

@description('Required. Domain of storage in this cloud.')
param storageDomain string

@description('Required. Connection string of Application Insights, which opens nothing since keys are off.')
param insightsConnection string

@description('Required. Every setting of keeper/settings.py that differs from its default.')
param settings object

@description('Required. Client id of the app registration that people and alerts sign in to; empty closes every HTTP door.')
param apiClientId string

@description('Required. Address prefixes of people who may call the API, besides Azure\'s own alerts and events.')
param operatorSources string[]

@description('Required. Package to deploy, by URL; empty when code comes by `func` or `az`.')
param packageUrl string

@description('Required. Whether instances spread over zones.')
param zoneRedundant bool

@description('Optional. Memory of one instance, in MB.')
param memoryMb 512 | 2048 | 4096 = 2048

@description('Optional. Most instances at once.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

/*** VARIABLES ***/
var package = 'packages'
var platform = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.clientId
  AzureWebJobsStorage__blobServiceUri: 'https://${hostAccount}.blob.${storageDomain}'
  AzureWebJobsStorage__queueServiceUri: 'https://${hostAccount}.queue.${storageDomain}'
  AzureWebJobsStorage__tableServiceUri: 'https://${hostAccount}.table.${storageDomain}'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.clientId};Authorization=AAD'
}

// Alerts and events come from Azure, people from where they sit; nobody else reaches a door.
var callers = concat(
  [
    { name: 'alerts', tag: 'ServiceTag', ipAddress: 'ActionGroup' }
    { name: 'events', tag: 'ServiceTag', ipAddress: 'AzureEventGrid' }
  ],
  map(
    operatorSources,
    source => { name: 'people', tag: 'Default', ipAddress: contains(source, '/') ? source : '${source}/32' }
  )
)

/*** RESOURCES ***/
resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'asp-${house.cluster}'
  location: house.location
  tags: house.tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

// checkov:skip=CKV_AZURE_17: callers sign in with Entra ID; Azure's alerts and events present no client certificate
// checkov:skip=CKV_AZURE_212: Flex Consumption scales by itself; a keeper that is off for a minute costs nothing, its ticks are level-triggered
// checkov:skip=CKV_AZURE_213: Flex Consumption has no health check; the alert keeper-silent watches what matters, finished ticks
// checkov:skip=CKV_AZURE_222: alerts and events come from Azure's public side; the default action is Deny and only their service tags and operators are allowed
resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: house.location
  tags: house.tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: union({ '${identity.id}': {} }, copies ? { '${copier!.id}': {} } : {})
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: subnetId
    keyVaultReferenceIdentity: identity.id
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${hostAccount}.blob.${storageDomain}/${package}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: { instanceMemoryMB: memoryMb, maximumInstanceCount: maximumInstances }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
      ipSecurityRestrictionsDefaultAction: 'Deny'
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Deny'
      scmIpSecurityRestrictions: map(operatorSources, (source, index) => {
        name: 'people'
        action: 'Allow'
        priority: 100 + index
        ipAddress: contains(source, '/') ? source : '${source}/32'
      })
      ipSecurityRestrictions: map(callers, (caller, index) => {
        name: caller.name
        action: 'Allow'
        priority: 100 + index
        tag: caller.tag
        ipAddress: caller.ipAddress
      })
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(platform, settings)
  }

  // Fail closed: without an app registration every HTTP door answers 401; timers, queue and events do not need one.
  resource authentication 'config' = {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      globalValidation: { requireAuthentication: true, unauthenticatedClientAction: 'Return401' }
      httpSettings: { requireHttps: true }
      identityProviders: empty(apiClientId)
        ? {}
        : {
            azureActiveDirectory: {
              enabled: true
              registration: {
                clientId: apiClientId
                openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
              }
              validation: { allowedAudiences: ['api://${apiClientId}', apiClientId] }
            }
          }
      login: { tokenStore: { enabled: false } }
    }
  }

  resource noFtp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noPasswordDeploy 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

resource deployment 'Microsoft.Web/sites/extensions@2025-03-01' = if (!empty(packageUrl)) {
  parent: app
  name: 'onedeploy'
  #disable-next-line BCP187 // documented for Flex Consumption, but missing from the published type
  properties: { packageUri: packageUrl, remoteBuild: true }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the app.')
output id string = app.id

@description('Public host name of the app.')
output hostName string = app.properties.defaultHostName
