metadata name = 'Containers and queues of the state account'
metadata description = 'One immutable container for each retention tier, an audit container that can only grow, the records of the keeper, and its corridor.'

import { Grant } from '../../types.bicep'
import { forgetSwept } from 'lifecycle.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the account, in this resource group.')
param accountName string

@description('Required. Days that a blob of each tier can be neither changed nor deleted.')
param tiers object

@description('Required. Days that a line of the audit container can be neither changed nor deleted; lines can be added.')
param auditDays int

@description('Required. Name of the corridor: the queue that every door writes to.')
param queueName string

@description('Required. Rights over every container, and why.')
param containerGrants Grant[]

@description('Required. Rights over the dead-letter container alone.')
param deadLetterGrants Grant[]

@description('Required. Rights over the container of root keys alone: servers deposit theirs, sealed.')
param keystoreGrants Grant[]

@description('Required. Rights over the container of rehearsals alone: a drill leaves its verdict.')
param rehearsalGrants Grant[]

@description('Required. Rights over the containers of snapshots alone.')
param snapshotGrants Grant[]

@description('Required. Rights over the corridor alone, and why.')
param queueGrants Grant[]

@description('Required. Rights over the queues of the account, and why.')
param queueServiceGrants Grant[]

/*** VARIABLES ***/
var tierList = items(tiers)

/*** RESOURCES ***/
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' existing = {
  parent: account
  name: 'default'
}

resource snapshots 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for tier in tierList: {
    parent: blobs
    name: 'snapshots-${tier.key}'
    properties: { publicAccess: 'None' }
  }
]

// Unlocked, so that a first deployment can be undone; docs/deploy.md says how to lock it, which nobody can take back.
resource snapshotsKept 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-01-01' = [
  for (tier, index) in tierList: {
    parent: snapshots[index]
    name: 'default'
    properties: { immutabilityPeriodSinceCreationInDays: tier.value, allowProtectedAppendWrites: false }
  }
]

resource audit 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: 'audit'
  properties: { publicAccess: 'None' }
}

resource auditKept 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-01-01' = {
  parent: audit
  name: 'default'
  properties: { immutabilityPeriodSinceCreationInDays: auditDays, allowProtectedAppendWrites: true }
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: 'dead-letters'
  properties: { publicAccess: 'None' }
}

resource keystores 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: 'keystores'
  properties: { publicAccess: 'None' }
}

resource rehearsals 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: 'rehearsals'
  properties: { publicAccess: 'None' }
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' existing = {
  parent: account
  name: 'default'
}

resource corridor 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = {
  parent: queueService
  name: queueName
}

resource poison 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = {
  parent: queueService
  name: '${queueName}-poison'
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: concat(forgetSwept(tiers), [
        {
          name: 'cool-snapshots'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['snapshots-'] }
            actions: { baseBlob: { tierToCool: { daysAfterModificationGreaterThan: 30 } } }
          }
        }
        {
          name: 'forget-old-records'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: ['keeper/decisions/', 'dead-letters/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 90 } } }
          }
        }
        {
          name: 'forget-old-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['keeper/', 'keystores/', 'rehearsals/'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: 30 } } }
          }
        }
      ])
    }
  }
}

resource blobRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in containerGrants: {
    name: guid(blobs.id, grant.who, grant.role)
    scope: blobs
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]

module deadLetterRights 'containerRights.bicep' = {
  name: 'rights-dead-letters'
  params: { accountName: accountName, containerName: deadLetters.name, grants: deadLetterGrants }
}

module keystoreRights 'containerRights.bicep' = {
  name: 'rights-keystores'
  params: { accountName: accountName, containerName: keystores.name, grants: keystoreGrants }
}

module rehearsalRights 'containerRights.bicep' = {
  name: 'rights-rehearsals'
  params: { accountName: accountName, containerName: rehearsals.name, grants: rehearsalGrants }
}

module snapshotRights 'containerRights.bicep' = [
  for tier in tierList: {
    name: 'rights-snapshots-${tier.key}'
    params: { accountName: accountName, containerName: 'snapshots-${tier.key}', grants: snapshotGrants }
    dependsOn: [snapshots]
  }
]

resource queueRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in queueGrants: {
    name: guid(corridor.id, grant.who, grant.role)
    scope: corridor
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]

resource queueServiceRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in queueServiceGrants: {
    name: guid(queueService.id, grant.who, grant.role)
    scope: queueService
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]
