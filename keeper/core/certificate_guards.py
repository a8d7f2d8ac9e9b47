"""The named rules that a plan for certificates and secrets must satisfy, judged anew from the view. Pure."""

from keeper.core.certificates import Action, Issue, Publish, Share, Terms, View, is_settled, trusts


def broken(actions: tuple[Action, ...], view: View, terms: Terms) -> list[tuple[str, str]]:
    """The named rules that a plan breaks, judged anew from the view; none for every plan of `plan`.

    `trusted-before-it-signs`: whoever is to believe a certificate has its CA in the bundle already. `someone-is-trusted`: no
    bundle is empty. `needed-stays`: no bundle loses a CA that a certificate needs, nor any at all while something is unread.
    `one-gossip`: a fresh shared key is made only where nobody has one.
    """
    found: list[tuple[str, str]] = []
    for action in actions:
        match action:
            case Issue():
                found += _untrusted(action, view, terms)
            case Publish():
                found += _untrusting(action, view)
            case Share() if action.source is None and any(
                digest for place, digest in view.shared.items() if place.name == action.place.name
            ):
                found.append(("one-gossip", f"{action.place} has a value somewhere"))
            case _:
                pass
    return found


def _untrusted(action: Issue, view: View, terms: Terms) -> list[tuple[str, str]]:
    if not trusts(view, action.place.audience, action.signer):
        return [("trusted-before-it-signs", f"{action.place.audience} lacks the CA of {action.place}")]
    alive = [each.id for each in view.authorities if each.ends > view.now]
    if action.signer != alive[0] and not is_settled(view, terms) and not _is_alone(action.signer, view):
        return [("trusted-before-it-signs", f"not everyone has trusted the CA of {action.place} for the overlap")]
    return []


def _is_alone(authority: str, view: View) -> bool:
    """Whether no other authority that still lives is in all bundles."""
    held = [bundle for place in view.wanted.bundles if (bundle := view.bundles.get(place)) is not None]
    alive = [each.id for each in view.authorities if each.ends > view.now]
    return all(each == authority for each in alive if all(each in bundle.authorities for bundle in held))


def _untrusting(action: Publish, view: View) -> list[tuple[str, str]]:
    if not action.authorities:
        return [("someone-is-trusted", f"{action.place} would be empty")]
    known = {each.id for each in view.authorities}
    bundle = view.bundles.get(action.place)
    lost = known & set(bundle.authorities if bundle else ()) - set(action.authorities)
    needed = {leaf.issuer for leaf in view.leaves.values() if leaf is not None}
    if lost and (view.gaps or lost & needed):
        return [("needed-stays", f"{action.place} would lose {', '.join(sorted(lost))}")]
    return []
