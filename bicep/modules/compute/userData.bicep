metadata name = 'User data'
metadata description = 'What a machine reads from the metadata service at every boot and every minute: its role, its knobs and the node program.'

import { Knobs } from '../../machineTypes.bicep'

@description('What a machine is told about itself, as base64 of JSON. A knob that is null is left out.')
func toldOf(role 'server' | 'client' | 'consul', knobs Knobs, sha256 string) string =>
  base64(string({
    schema: 1
    role: role
    knobs: toObject(filter(items(knobs), knob => knob.value != null), knob => knob.key, knob => knob.value)
    sha256: sha256
  }))

@export()
@description('The userData of a machine. Azure allows 64 KB of base64; tests/infra measures each. The bundle comes as an argument: an expression may be 24,576 characters long at most, and a literal inside a function counts. It is base64 of whole groups of three bytes, so base64 may follow; the loader takes both apart.')
func userDataOf(role 'server' | 'client' | 'consul', knobs Knobs, bundle { sha256: string, program: string }) string =>
  '${bundle.program}${toldOf(role, knobs, bundle.sha256)}'
