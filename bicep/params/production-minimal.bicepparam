using '../main.bicep'

// Production, small: three servers and three clients over three zones.
param sshPublicKey = readEnvironmentVariable('SSH_PUBLIC_KEY')
param adminGroupId = readEnvironmentVariable('ADMIN_GROUP_ID', '')
param stage = 'production'
param apiClientId = readEnvironmentVariable('API_CLIENT_ID', '')
param operatorSources = ['203.0.113.0/24']
param clientPools = [{ name: 'general', min: 3, max: 6, order: 10, price: '0.230' }]
