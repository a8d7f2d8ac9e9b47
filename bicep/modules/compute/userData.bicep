metadata name = 'User data'
metadata description = 'What a machine reads from the metadata service at every boot and every minute: its role, its knobs and the node program.'

import { Knobs } from '../../types.bicep'

@export()
@description('The userData of a machine. Azure allows 64 KB of base64; tests/infra measures each.')
func userDataOf(role 'server' | 'client' | 'consul', knobs Knobs) string =>
  base64(string({
    schema: 1
    role: role
    knobs: knobs
    sha256: loadJsonContent('../../../cloud-init/bundle.json').sha256
    program: loadJsonContent('../../../cloud-init/bundle.json').program
  }))
