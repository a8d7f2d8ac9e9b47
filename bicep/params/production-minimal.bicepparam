using '../main.bicep'

// Production, small: three servers and three clients over three zones.
param sshPublicKey = readEnvironmentVariable(
  'SSH_PUBLIC_KEY',
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyForChecksOnly0000000000000000000000 checks'
)
param stage = 'production'
param clientPools = [{ name: 'general', min: 3, max: 6, order: 10, price: '0.230' }]
