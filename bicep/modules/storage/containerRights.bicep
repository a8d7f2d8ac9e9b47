metadata name = 'Rights over one container'
metadata description = 'Role assignments that reach one container and nothing beside it.'

import { Grant } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the account, in this resource group.')
param accountName string

@description('Required. Name of the container.')
param containerName string

@description('Required. Who may do what, and why.')
param grants Grant[]

/*** RESOURCES ***/
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource container 'containers' existing = {
      name: containerName
    }
  }
}

resource rights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(account::blobs::container.id, grant.who, grant.role)
    scope: account::blobs::container
    properties: {
      principalId: grant.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.why
    }
  }
]
