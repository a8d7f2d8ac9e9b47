metadata name = 'Action groups'
metadata description = 'Whom alerts reach: the keeper, which acts on what a pool needs, and people, who follow a runbook.'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the cluster.')
param cluster string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Resource id of the function app.')
param functionAppId string

@description('Required. Public host name of the function app.')
param functionAppHost string

@description('Required. Whether the app accepts signed-in callers; without it no alert could reach the keeper.')
param keeperListens bool

@description('Required. Identity that alerts sign in to the keeper with: its principal and resource id.')
param identity { id: string, principalId: string }

@description('Required. Mail addresses of people; none when people watch the workbook only.')
param emails string[]

/*** RESOURCES ***/
resource keeper 'Microsoft.Insights/actionGroups@2024-10-01-preview' = {
  name: 'ag-${cluster}-keeper'
  location: 'global'
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  properties: {
    groupShortName: 'keeper'
    enabled: true
    azureFunctionReceivers: !keeperListens
      ? []
      : [
          {
            name: 'keeper'
            functionAppResourceId: functionAppId
            functionName: 'alerts'
            httpTriggerUrl: 'https://${functionAppHost}/api/alerts'
            managedIdentity: identity.principalId // signs in; no function key stands in the URL
            useCommonAlertSchema: true
          }
        ]
  }
}

resource people 'Microsoft.Insights/actionGroups@2024-10-01-preview' = {
  name: 'ag-${cluster}-people'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'people'
    enabled: true
    emailReceivers: map(emails, address => { name: address, emailAddress: address, useCommonAlertSchema: true })
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the group that reaches the keeper.')
output keeperId string = keeper.id

@description('Resource id of the group that reaches people.')
output peopleId string = people.id
