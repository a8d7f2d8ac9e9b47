using '../main.bicep'

// Production, small: three servers and three clients over three zones.
param sshPublicKey = readEnvironmentVariable('SSH_PUBLIC_KEY')
param adminGroupId = readEnvironmentVariable('ADMIN_GROUP_ID', '')
param stage = 'production'
param apiClientId = readEnvironmentVariable('API_CLIENT_ID', '')
param operatorSources = split(readEnvironmentVariable('OPERATOR_SOURCES'), ',')
param alertEmails = filter(split(readEnvironmentVariable('ALERT_EMAILS', ''), ','), address => !empty(address))
param clientPools = [
  { name: 'general', min: 3, max: 6, order: 10, price: '0.230' }
  { name: 'drill', min: 0, max: 1, sku: 'Standard_D2s_v5', rehearsals: true, order: 90, price: '0.115' }
]
