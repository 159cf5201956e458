import selfpose6d


def test_every_public_name_is_there():
    missing = [name for name in selfpose6d.__all__ if getattr(selfpose6d, name, None) is None]
    assert missing == []


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(selfpose6d, "nonsense")
