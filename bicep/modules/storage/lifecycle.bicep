metadata name = 'Lifecycle of snapshots'
metadata description = 'What Azure itself forgets, and when.'

@export()
@description('A rule for each retention tier: what the keeper has deleted stays as a former version until two weeks after its immutability ended, so that a wrong sweep can be taken back; then it is forgotten. What is immutable still, or current, is never touched.')
func forgetSwept(tiers object) object[] =>
  map(items(tiers), tier => {
    name: 'forget-swept-${tier.key}'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: ['snapshots-${tier.key}/'] }
      actions: { version: { delete: { daysAfterCreationGreaterThan: int(tier.value) + 14 } } }
    }
  })
