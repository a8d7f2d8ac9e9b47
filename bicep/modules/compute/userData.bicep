metadata name = 'User data'
metadata description = 'What a machine reads from the metadata service at every boot and every minute: its role, its knobs and the node program.'

import { Knobs } from '../../machineTypes.bicep'

@export()
@description('The userData of a machine. Azure allows 64 KB of base64; tests/infra measures each. A knob that is null is left out. The bundle comes as an argument: an expression may be 24,576 characters long at most, and a literal inside a function counts.')
func userDataOf(role 'server' | 'client' | 'consul', knobs Knobs, bundle { sha256: string, program: string }) string =>
  base64(string({
    schema: 1
    role: role
    knobs: toObject(filter(items(knobs), knob => knob.value != null), knob => knob.key, knob => knob.value)
    sha256: bundle.sha256
    program: bundle.program
  }))
