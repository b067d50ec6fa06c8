"""Signal `nearby`: nearness of places, against the great-circle distance and sorting by hand."""

import numpy as np
import pandas as pd
import pytest
from signal_toy import signal_request

from unified_ranker.signals.nearby import Nearby, NearbySignal, nearest_items
from unified_ranker.towers.tensorflow import tf

HOUR = 3600
NOW = 1000 * HOUR
RADIUS = 6371.0
PLACES = pd.DataFrame(
    {
        "name": ["home", "corner", "office", "airport", "abroad", "nowhere", "pole", "office, next door"],
        "latitude": [40.7000, 40.7001, 40.7500, 40.6413, 48.8566, None, 90.0, 40.7500],
        "longitude": [-74.0000, -74.0000, -73.9800, -73.7781, 2.3522, 2.0, 0.0, -73.9799],
    }
)
HOME, CORNER, OFFICE, AIRPORT, ABROAD, NOWHERE, POLE, NEXT_DOOR = range(8)
UNKNOWN = -1


def kilometres(first, second):
    """Distance along the earth's surface, by the haversine formula."""
    a, b = (np.radians(PLACES.loc[place, ["latitude", "longitude"]].to_numpy(float)) for place in (first, second))
    h = np.sin((b[0] - a[0]) / 2) ** 2 + np.cos(a[0]) * np.cos(b[0]) * np.sin((b[1] - a[1]) / 2) ** 2
    return 2 * RADIUS * np.arcsin(np.sqrt(h))


def nearness(first, second):
    """Nearness by the straight line between both places."""
    straight = 2 * RADIUS * np.sin(kilometres(first, second) / (2 * RADIUS))
    return 0.5 * np.log(((2 * RADIUS) ** 2 + 0.05**2) / (straight**2 + 0.05**2))


def built(**settings):
    declared = Nearby(type="nearby", **settings)
    points = declared.points(PLACES)
    return NearbySignal(points, nearest_items(points, declared.neighbours), declared.window, declared.candidates)


def ask(recent, hours=None, source=UNKNOWN):
    """One request at `NOW` with items `recent`, newest first, so many `hours` ago, and a source item."""
    ago = np.arange(1, len(recent) + 1) if hours is None else np.array(hours)
    return signal_request(1, source_item=[source], recent=[recent], recent_time=[NOW - HOUR * ago], timestamp=[NOW])


def features(signal, request):
    return signal.features(request, tf.constant([[*range(len(PLACES)), UNKNOWN]], tf.int64), None).numpy()[0]


@pytest.mark.parametrize("place", [CORNER, OFFICE, AIRPORT, ABROAD, POLE])
def test_the_last_place_and_the_source_count_by_their_distance(place):
    found = features(built(), ask([HOME], source=OFFICE))
    assert found[place, 0] == pytest.approx(nearness(HOME, place), rel=1e-3)
    assert found[place, 3] == pytest.approx(nearness(OFFICE, place), rel=1e-3)


def test_the_nearest_of_the_last_places_counts_and_their_mean_by_how_lately():
    place = AIRPORT
    found = features(built(), ask([OFFICE, HOME, ABROAD], hours=[3, 0, 8]))
    near = [nearness(other, place) for other in (OFFICE, HOME, ABROAD)]
    assert found[place, 1] == pytest.approx(max(near), rel=1e-3)
    assert found[place, 2] == pytest.approx(np.average(near, weights=1 / np.sqrt([4, 1, 9])), rel=1e-3)


def test_a_place_is_nearest_to_itself_and_the_corner_comes_next():
    found = features(built(), ask([HOME]))
    assert np.argsort(-found[:, 0])[:2].tolist() == [HOME, CORNER]


@pytest.mark.parametrize("request_", [ask([NOWHERE], source=NOWHERE), ask([UNKNOWN])])
def test_nothing_is_near_to_an_unknown_place(request_):
    assert not features(built(), request_).any()


def test_unknown_places_are_near_to_nothing_and_spoil_no_mean():
    found = features(built(), ask([HOME, NOWHERE, UNKNOWN], hours=[1, 1, 1]))
    assert not found[[NOWHERE, UNKNOWN]].any()
    np.testing.assert_allclose(found[:, 2], found[:, 0])


def test_older_events_than_the_window_are_not_read():
    signal = built(window=1)
    np.testing.assert_array_equal(features(signal, ask([HOME, ABROAD])), features(signal, ask([HOME])))


def test_neighbours_are_those_of_a_search_through_all():
    random = np.random.default_rng(5)
    points = random.normal(size=(60, 3)).astype(np.float32)
    points[[4, 9, 33]] = points[20]
    points[[7, 8]] = np.nan
    near = nearest_items(points, 5)
    for item, found in enumerate(near):
        distance = np.linalg.norm(points - points[item], axis=1)
        distance[item] = np.nan
        if item in (7, 8):
            assert (found == -1).all()
        else:
            assert item not in found
            assert len(set(found.tolist())) == 5
            np.testing.assert_allclose(distance[found], np.sort(distance)[:5], rtol=1e-5)


def test_of_few_places_there_are_few_neighbours():
    points = np.array([[0, 0, 1], [0, 0, 2], [np.nan] * 3], np.float32)
    np.testing.assert_array_equal(nearest_items(points, 3), [[1, -1, -1], [0, -1, -1], [-1, -1, -1]])


def test_the_nearest_of_source_and_last_places_are_proposed_in_turns():
    signal = built(neighbours=2, candidates=6)
    found = signal.proposals(ask([HOME, HOME, AIRPORT], source=OFFICE)).numpy()[0]
    assert found.tolist()[:2] == [NEXT_DOOR, CORNER]
    assert {AIRPORT, HOME, OFFICE, NEXT_DOOR, CORNER} >= set(found[found >= 0].tolist())
    assert found.shape == (6,)
    assert (signal.proposals(ask([UNKNOWN])).numpy() == -1).all()


def test_columns_may_have_other_names_and_text_is_no_place():
    renamed = PLACES.rename(columns={"latitude": "lat", "longitude": "lon"})
    declared = Nearby(type="nearby", latitude="lat", longitude="lon")
    np.testing.assert_array_equal(declared.points(renamed), Nearby(type="nearby").points(PLACES))
    assert np.isnan(Nearby(type="nearby").points(renamed)).all()
    assert np.isnan(declared.points(renamed.assign(lat="north"))).all()
