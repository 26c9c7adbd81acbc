"""Postgres and memcached for one host: real servers, run by `outbid up`, gone when it is gone."""
