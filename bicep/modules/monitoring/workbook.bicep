metadata name = 'Workbook'
metadata description = 'One page: decisions, actions, snapshots, machines.'

import { House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

/*** RESOURCES ***/
resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, house.cluster, 'workbook')
  location: house.location
  tags: house.tags
  kind: 'shared'
  properties: {
    displayName: 'Nomad keeper: ${house.cluster}'
    category: 'workbook'
    version: '1.0'
    sourceId: house.workspaceId
    serializedData: string(loadJsonContent('workbook.json'))
  }
}
