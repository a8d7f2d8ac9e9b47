metadata name = 'Identity'
metadata description = 'One identity for one role, so that each can be given just what it needs.'

import { Identity } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the identity.')
param name string

@description('Required. Region.')
param location string

@description('Required. Tags of every resource.')
param tags object

/*** RESOURCES ***/
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

/*** WHAT THIS MODULE PROMISES ***/
@description('The identity.')
output it Identity = {
  name: name
  id: identity.id
  principalId: identity.properties.principalId
  clientId: identity.properties.clientId
}
