metadata name = 'Second copies'
metadata description = 'Snapshots once more, in another region, writable by another identity only: who holds the keeper does not hold these.'

import { Identity } from '../../types.bicep'
import { roles } from '../../roles.bicep'
import { forgetSwept } from 'lifecycle.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the account, in this resource group.')
param accountName string

@description('Required. Days that a blob of each retention tier can be neither changed nor deleted.')
param tiers object

@description('Required. Identity that writes the copy.')
param copy Identity

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

resource kept 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-01-01' = [
  for (tier, index) in tierList: {
    parent: snapshots[index]
    name: 'default'
    properties: { immutabilityPeriodSinceCreationInDays: tier.value, allowProtectedAppendWrites: false }
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: { policy: { rules: forgetSwept(tiers) } }
}

resource write 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(blobs.id, 'copy', roles.blobDataContributor)
  scope: blobs
  properties: {
    principalId: copy.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
    description: 'The copy identity writes verified snapshots here. It has no other right anywhere.'
  }
}
