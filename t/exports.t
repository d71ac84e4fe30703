#!/usr/bin/perl

# nginx loads modules with RTLD_GLOBAL: only what it looks up is exported.

use strict;
use warnings;

use Test::More;
use Test::Fanout::Source;

my @bad = exports($ENV{FANOUT_MODULE});

is(scalar @bad, 0, 'exported symbols') or diag(join "\n", @bad);

done_testing();
