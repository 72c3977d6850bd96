typedef ${suite}_memory ${name}_memory;
