using '../main.bicep'

// Staging: built like production, smaller, with Ubuntu 24.04 so that the next release is met here first.
param sshPublicKey = readEnvironmentVariable('SSH_PUBLIC_KEY')
param adminGroupId = readEnvironmentVariable('ADMIN_GROUP_ID', '')
param stage = 'staging'
param ubuntu = '24.04'
param apiClientId = readEnvironmentVariable('API_CLIENT_ID', '')
param operatorSources = split(readEnvironmentVariable('OPERATOR_SOURCES'), ',')
param alertEmails = filter(split(readEnvironmentVariable('ALERT_EMAILS', ''), ','), address => !empty(address))
param clientPools = [
  { name: 'general', min: 2, max: 5, order: 10, price: '0.230' }
  { name: 'spot', min: 0, max: 5, priority: 'Spot', order: 5, price: '0.060' }
  { name: 'drill', min: 0, max: 1, sku: 'Standard_D2s_v5', rehearsals: true, order: 90, price: '0.115' }
]
param storageRedundancy = 'Standard_GZRS'
param retentionDays = { hourly: 2, daily: 7, weekly: 14, monthly: 30, audit: 30 }
param logs = { retentionDays: 30, dailyQuotaGb: 5 }
