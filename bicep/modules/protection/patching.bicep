metadata name = 'Patching'
metadata description = 'When servers may be patched and rebooted: each zone on its own day, so that a quorum always stays.'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of each window.')
param names string[]

@description('Required. Region.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Hour of the day, UTC, at which a window opens.')
param startTime string

/*** VARIABLES ***/
var days = ['Tuesday', 'Wednesday', 'Thursday']

/*** RESOURCES ***/
resource windows 'Microsoft.Maintenance/maintenanceConfigurations@2023-04-01' = [
  for (day, index) in days: {
    name: names[index]
    location: location
    tags: tags
    properties: {
      maintenanceScope: 'InGuestPatch'
      visibility: 'Custom'
      extensionProperties: { InGuestPatchMode: 'User' }
      maintenanceWindow: {
        startDateTime: '2025-01-07 ${startTime}'
        duration: '03:00'
        timeZone: 'UTC'
        recurEvery: '1Week ${day}'
      }
      installPatches: {
        rebootSetting: 'IfRequired'
        linuxParameters: { classificationsToInclude: ['Critical', 'Security'] }
      }
    }
  }
]
