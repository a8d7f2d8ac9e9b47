metadata name = 'Event subscriptions of one source'
metadata description = 'Tells the keeper what happens, within seconds. A second step: Azure refuses a subscription until the function it calls is deployed.'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the system topic.')
param name string

@description('Required. Region of the source; global for resource groups and subscriptions.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Resource id of the source.')
param sourceId string

@description('Required. Kind of the source.')
param topicType
  | 'Microsoft.KeyVault.vaults'
  | 'Microsoft.Maintenance.MaintenanceConfigurations'
  | 'Microsoft.Resources.ResourceGroups'
  | 'Microsoft.ResourceNotifications.HealthResources'

@description('Required. Event types to pass on.')
param eventTypes string[]

@description('Required. Operations to pass on, by how their name begins; empty for all.')
param operations string[]

@description('Required. Resource id of the function that answers.')
param functionId string

@description('Required. Resource id of the state account, which keeps dead letters.')
param stateAccountId string

@description('Required. Resource id of the identity that dead letters are written with.')
param identityId string

@description('Required. Resource id of the workspace that hears of failed deliveries.')
param workspaceId string

/*** RESOURCES ***/
resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: { source: sourceId, topicType: topicType }
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'keeper'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: functionId
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: eventTypes
      enableAdvancedFilteringOnArrays: true
      advancedFilters: empty(operations)
        ? []
        : [{ operatorType: 'StringBeginsWith', key: 'data.operationName', values: operations }]
    }
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
    deadLetterWithResourceIdentity: {
      identity: { type: 'UserAssigned', userAssignedIdentity: identityId }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: { resourceId: stateAccountId, blobContainerName: 'dead-letters' }
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: topic
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
