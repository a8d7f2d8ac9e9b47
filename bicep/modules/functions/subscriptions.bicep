metadata name = 'Event subscriptions'
metadata description = 'Vaults tell of certificates, windows of patching that begins, the resource group of machines, Azure of their health.'

import { Identity } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the cluster.')
param cluster string

@description('Required. Region of the vaults and windows.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Vaults whose certificates matter, in this resource group.')
param vaultNames string[]

@description('Required. Resource group of the machines.')
param computeGroup string

@description('Required. Name of each window in which servers are patched, in the group of the machines.')
param windowNames string[]

@description('Required. Resource id of the function that answers.')
param functionId string

@description('Required. Resource id of the state account, which keeps dead letters.')
param stateAccountId string

@description('Required. Identity that dead letters are written with.')
param events Identity

@description('Required. Resource id of the workspace that hears of failed deliveries.')
param workspaceId string

/*** RESOURCES ***/
module vaults 'events.bicep' = [
  for vault in vaultNames: {
    name: 'events-${vault}'
    params: {
      name: 'evgt-${vault}'
      location: location
      tags: tags
      sourceId: resourceId('Microsoft.KeyVault/vaults', vault)
      topicType: 'Microsoft.KeyVault.vaults'
      eventTypes: [
        'Microsoft.KeyVault.CertificateNewVersionCreated'
        'Microsoft.KeyVault.CertificateNearExpiry'
        'Microsoft.KeyVault.CertificateExpired'
        'Microsoft.KeyVault.SecretNewVersionCreated'
      ]
      operations: []
      functionId: functionId
      stateAccountId: stateAccountId
      identityId: events.id
      workspaceId: workspaceId
    }
  }
]

// Before servers are patched and may reboot, their state is saved.
module windows 'events.bicep' = [
  for window in windowNames: {
    name: 'events-${window}'
    params: {
      name: 'evgt-${window}'
      location: location
      tags: tags
      sourceId: resourceId(computeGroup, 'Microsoft.Maintenance/maintenanceConfigurations', window)
      topicType: 'Microsoft.Maintenance.MaintenanceConfigurations'
      eventTypes: ['Microsoft.Maintenance.PreMaintenanceEvent']
      operations: []
      functionId: functionId
      stateAccountId: stateAccountId
      identityId: events.id
      workspaceId: workspaceId
    }
  }
]

module machines 'events.bicep' = {
  name: 'events-machines'
  params: {
    name: 'evgt-${cluster}-machines'
    location: 'global'
    tags: tags
    sourceId: subscriptionResourceId('Microsoft.Resources/resourceGroups', computeGroup)
    topicType: 'Microsoft.Resources.ResourceGroups'
    eventTypes: [
      'Microsoft.Resources.ResourceWriteSuccess'
      'Microsoft.Resources.ResourceWriteFailure'
      'Microsoft.Resources.ResourceDeleteSuccess'
      'Microsoft.Resources.ResourceActionSuccess'
      'Microsoft.Resources.ResourceActionFailure'
    ]
    operations: ['Microsoft.Compute/virtualMachineScaleSets/', 'Microsoft.Compute/virtualMachines/']
    functionId: functionId
    stateAccountId: stateAccountId
    identityId: events.id
    workspaceId: workspaceId
  }
}

// Azure tells of health for whole subscriptions only; the keeper ignores what is not its own.
module health 'events.bicep' = {
  name: 'events-health'
  params: {
    name: 'evgt-${cluster}-health'
    location: 'global'
    tags: tags
    sourceId: subscription().id
    topicType: 'Microsoft.ResourceNotifications.HealthResources'
    eventTypes: [
      'Microsoft.ResourceNotifications.HealthResources.AvailabilityStatusChanged'
      'Microsoft.ResourceNotifications.HealthResources.ResourceAnnotated'
    ]
    operations: []
    functionId: functionId
    stateAccountId: stateAccountId
    identityId: events.id
    workspaceId: workspaceId
  }
}
