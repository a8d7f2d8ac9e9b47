metadata name = 'Built-in roles'
metadata description = 'Ids of the built-in roles that this platform grants; https://learn.microsoft.com/azure/role-based-access-control/built-in-roles'

@export()
@description('Id of each role by a short name.')
var roles = {
  secretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  cryptoServiceEncryptionUser: 'e147488a-f6f5-4113-8e2d-b22465e65bf6'
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  blobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  blobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  queueMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
  machineAdministratorLogin: '1c0163c0-47e6-4577-8991-ea5c82e286e4'
}
