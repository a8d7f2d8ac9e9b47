metadata name = 'Servers'
metadata description = 'Three or five machines with fixed addresses, one zone each in turn, or spread over the fault domains of an availability set.'

import { House } from '../../types.bicep'
import { Knobs, MachineHouse } from '../../machineTypes.bicep'
import { userDataOf } from 'userData.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. How every machine is made.')
param machines MachineHouse

@description('Required. What the machines are for.')
param role 'server' | 'consul'

@description('Required. How many.')
@allowed([3, 5])
param count int

@description('Required. Address of each, in order.')
param addresses string[]

@description('Required. Size.')
param sku string

@description('Required. Zones to take in turn; empty for an availability set.')
param zones string[]

@description('Required. Resource id of the subnet.')
param subnetId string

@description('Required. Backend pools that each joins, by resource id.')
param backendPoolIds string[]

@description('Required. Resource id of the identity of this role.')
param identityId string

@description('Required. Kind and size of the data disk.')
param dataDisk { sku: 'Premium_LRS' | 'PremiumV2_LRS' | 'UltraSSD_LRS', sizeGb: int }

@description('Required. What every machine of this role must know.')
param knobs Knobs

@description('Required. Maintenance configurations to take in turn, one for each zone or fault domain, by resource id.')
param maintenanceIds string[]

/*** VARIABLES ***/
var bundle = loadJsonContent('../../../cloud-init/bundle.json')
var prefix = '${house.cluster}-${role}'

/*** RESOURCES ***/
resource set 'Microsoft.Compute/availabilitySets@2025-04-01' = if (empty(zones)) {
  name: 'avail-${prefix}'
  location: house.location
  tags: house.tags
  sku: { name: 'Aligned' }
  properties: { platformFaultDomainCount: 3, platformUpdateDomainCount: 5 }
}

module each 'machine.bicep' = [
  for (address, index) in addresses: {
    name: '${prefix}-${index + 1}'
    params: {
      house: house
      machines: machines
      name: '${prefix}-${index + 1}'
      sku: sku
      zone: empty(zones) ? '' : zones[index % length(zones)]
      availabilitySetId: empty(zones) ? set.id : ''
      subnetId: subnetId
      address: address
      backendPoolIds: backendPoolIds
      identityId: identityId
      member: true
      userData: userDataOf(role, knobs, bundle)
      dataDisk: dataDisk
      maintenanceId: maintenanceIds[index % length(maintenanceIds)]
    }
  }
]

/*** WHAT THIS MODULE PROMISES ***/
@description('Name of each machine, in order.')
output names string[] = [for index in range(0, count): '${prefix}-${index + 1}']
